/** Edits a model in two consecutive rounds, serves what was published, and takes an edit back. */
import { EditedModel, ModelVersions, openEditSession, openStore, readBatch } from 'hookline';

const [, , world = 'examples/aldermark', folder = './hookline-example'] = process.argv;
const store = openStore(folder);
const session = await openEditSession({
  store,
  modelDirectory: `${world}/model`,
  corpusPath: `${world}/corpus.txt`,
  heldOut: `${world}/heldout.txt`,
});
const batches = [];
for (const round of [1, 2]) batches.push((await readBatch(`${world}/batches/round-${round}.jsonl`)).edits);
for await (const { outcome, version, reason, metrics } of session.edit(batches, { compareGates: false })) {
  console.log(outcome, version ?? reason, `reliability ${metrics.reliability}, locality ${metrics.locality}`);
}

const versions = new ModelVersions({ store, modelId: session.modelId });
const served = await EditedModel.load(`${world}/model`, await versions.pull());
const question = { prompt: 'Letters for Doskymo Honnix are sent to', maxTokens: 4 };
console.log('base model', (await served.complete({ ...question, version: 'base' })).text);
console.log('edited    ', (await served.complete(question)).text);

await session.revoke({ ids: ['r1-01'] });
served.switchTo(await served.prepare(await versions.pull()));
console.log('revoked   ', (await served.complete(question)).text);
await session.close();
await served.dispose();

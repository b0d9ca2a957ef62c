/** Serves whatever is the latest version of a model, and follows what others publish, until it is stopped. */
import { EditedModel, ModelVersions, openStore, watchVersions } from 'hookline';

const [, , location = 's3://my-bucket', modelId = 'smollm2', modelDirectory = './SmolLM2-135M'] = process.argv;
const versions = new ModelVersions({ store: openStore(location), modelId });
const edited = await EditedModel.load(modelDirectory, await versions.pull()); // refuses versions of another base model
for await (const piece of edited.stream({ prompt: 'The Eiffel Tower is in', maxTokens: 20 }))
  process.stdout.write(piece);
const { text, firings } = await edited.complete({ prompt: 'The Eiffel Tower is in', maxTokens: 20, version: 'base' });
console.log(text, firings); // the base model beside any version that is held; its firings are none

const stopping = new AbortController();
process.once('SIGTERM', () => stopping.abort());
await watchVersions(versions, {
  onVersion: async (pulled) => edited.switchTo(await edited.prepare(pulled)),
  onError: (error) => console.warn(error),
  signal: stopping.signal,
});
await edited.dispose();

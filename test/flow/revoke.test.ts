import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Edit } from '../../src/editing/index.js';
import { StaleBaseError } from '../../src/errors.js';
import { loadModel, loadTokenizer } from '../../src/model/index.js';
import { DirectoryObjectStore } from '../../src/registry/directory-object-store.js';
import { incomingKey } from '../../src/registry/index.js';
import { revokeEdits } from '../../src/rounds/index.js';
import { HookableModel, loadVersionHooks } from '../../src/serving/index.js';
import { ingestStage, judgeStage, planStage, publishStage } from '../../src/workflow/index.js';
import { readPlan } from '../../src/workflow/plan/round-files.js';
import { CommandLine } from '../support/command-line.js';
import { dependenciesOn } from '../support/control-plane.js';
import { PlannedRounds } from '../support/planned-round.js';
import { TaskRuns } from '../unit/workflow/stages/task-runs.js';

let rounds: PlannedRounds;
let tasks: TaskRuns;
let commandLine: CommandLine;
const modelId = 'aldermark';
const call = { executionId: 'e', modelId };

beforeAll(async () => {
  commandLine = new CommandLine();
  rounds = await PlannedRounds.open();
  tasks = new TaskRuns(rounds);
});
afterAll(() => {
  commandLine.remove();
  rounds.remove();
});

const onStore = () => dependenciesOn(rounds.store);

async function drop(name: string, edits: readonly Edit[]): Promise<void> {
  const lines = edits.map((edit) => `${JSON.stringify(edit)}\n`).join('');
  const objectKey = incomingKey(modelId, name);
  await rounds.store.put(objectKey, new TextEncoder().encode(lines));
  await ingestStage({ ...call, trigger: 'drop', objectKey }, onStore());
}

/** All of a round but its publish. @returns how to publish it */
async function solvedRound() {
  const plan = await planStage({ ...call, fence: 1 }, onStore());
  const { planKey } = plan;
  for (const shard of plan.statisticsShards) await tasks.run('statistics', planKey, shard);
  if (plan.statisticsNeeded) await tasks.run('merge', planKey);
  for (const shard of plan.valueShards) await tasks.run('values', planKey, shard);
  await tasks.run('solve', planKey);
  for (const shard of plan.validationShards) await tasks.run('validate', planKey, shard);
  const { decision, attempt, reason } = await judgeStage({ modelId, planKey, attempt: 0 }, onStore());
  expect({ decision, reason }).toEqual({ decision: 'publish', reason: '' });
  const publish = () => publishStage({ ...call, action: 'publish', planKey, attempt, reason }, onStore());
  return { plan: await readPlan(rounds.store, planKey), publish };
}

async function revokeNow(...ids: readonly string[]): Promise<void> {
  const model = await loadModel(rounds.modelDirectory);
  const edited = await HookableModel.compile(model, { layers: [0], gate: 'key' });
  const subject = { edited, tokenizer: await loadTokenizer(rounds.modelDirectory) };
  await revokeEdits({
    store: rounds.store,
    modelId,
    selection: { ids },
    subject,
    heldOut: [],
    tolerance: 0,
    force: false,
    publishedBy: 'revoke by tester',
  });
  await edited.dispose();
}

const statuses = async () => {
  const { manifest, rowEdits } = await loadVersionHooks(new DirectoryObjectStore(rounds.storeFolder), modelId);
  const active = [...new Set(rowEdits.flatMap(({ editIds }) => editIds))];
  return { active, edits: manifest.edits.map(({ id, version, status }) => `${id} ${version} ${status}`) };
};

describe('a revocation between the solve and the publish of a round', () => {
  it('makes the round be planned anew on it: both are in force, and neither undoes the other', async () => {
    const [first, second, third, fourth] = rounds.edits;
    await drop('one.jsonl', [first, second, third]);
    const { publish } = await solvedRound();
    expect(await publish()).toMatchObject({ outcome: 'published', version: 1, edits: 3 });

    const again = { ...first, targetNew: second.targetNew };
    await drop('two.jsonl', [again, fourth]);
    const stale = await solvedRound();
    expect(stale.plan.overwrites).toEqual([{ newId: first.id, oldId: first.id }]);
    await revokeNow(first.id, second.id);
    await expect(stale.publish()).rejects.toThrow(StaleBaseError);

    const renewed = await solvedRound();
    expect(renewed.plan).toMatchObject({ base: { version: 2 }, overwrites: [] });
    expect(renewed.plan.roundId).toBe(stale.plan.roundId);
    expect(await renewed.publish()).toMatchObject({ outcome: 'published', version: 3, edits: 2 });
    expect(await statuses()).toEqual({
      active: [third.id, first.id, fourth.id],
      edits: [
        `${first.id} 1 revoked`,
        `${second.id} 1 revoked`,
        `${third.id} 1 active`,
        `${first.id} 3 active`,
        `${fourth.id} 3 active`,
      ],
    });
  });
});

describe('hookline revoke', () => {
  const run = (...words: string[]) =>
    commandLine.run([...words, '--store', rounds.storeFolder, '--model', rounds.modelDirectory, '--model-id', modelId]);

  it('says what would go, and needs no model for that', async () => {
    const [first] = rounds.edits;
    const words = ['revoke', '--subject', first.subject, '--store', rounds.storeFolder];
    const dry = await commandLine.run([...words, '--dry-run']);
    expect(dry).toMatchObject({ exitCode: 0, errors: 'nothing was published\n' });
    expect(dry.output).toContain(`would go from version 3 of ${modelId}: 1 of 3 active edits`);
    expect(dry.output).toMatch(new RegExp(`\\n${first.id} +3 +${first.subject} lives in -> `));
    expect(await commandLine.run(words)).toMatchObject({
      exitCode: 64,
      errors: 'error: --model: the directory of the model, or --dry-run, got none\n',
    });
    expect((await statuses()).active).toHaveLength(3);
  });

  it('refuses all of a call that names what is not active, in one line', async () => {
    const [first, second] = rounds.edits;
    const { exitCode, output, errors } = await run('revoke', first.id, second.id, 'r1-0', '--all-of', '2');
    expect({ exitCode, output }).toEqual({ exitCode: 64, output: '' });
    expect(errors).toMatch(/^error: edits to revoke from version 3: active ones [^\n]+\n$/);
    expect(errors).toContain(`${second.id}, which is revoked already; r1-0, which is unknown (perhaps `);
    expect(errors).toContain('those of version 2, which wrote none');
  });

  it('publishes a version that says what is gone and what became of the others', async () => {
    const [first, , , fourth] = rounds.edits;
    const heldOut = join(rounds.folder, 'held-out.txt');
    await writeFile(heldOut, 'Nothing of all that is in here.\n');
    const { exitCode, output, errors } = await run('revoke', first.id, '--held-out', heldOut);
    expect(exitCode).toBe(0);
    expect(output).toContain(`${modelId}: version 3 -> version 4, 1 revoked, 2 left`);
    expect(output).toMatch(new RegExp(`\\n${first.id} .* 1\\.000 -> 0\\.000 +1\\.000 .* closed\\n`));
    expect(output).toMatch(/\nreliability +1\.000 +1\.000 +0 +–\n/);
    expect(output).toMatch(/ordinary text: perplexity x1\.\d{4} of the base model/);
    expect(output).toContain('versions/000004/report.html');
    expect(errors).toContain(`to undo: hookline rollback 3 --store ${rounds.storeFolder} --model-id ${modelId}`);
    const json = JSON.parse((await run('revoke', fourth.id, '--json')).output);
    expect(json).toMatchObject({ base: 4, version: 5, notRestored: [], kept: { edits: 1 }, drift: null });
    expect(json.revoked).toMatchObject([{ id: fourth.id, reliability: { before: 1, after: 0 }, firedBy: null }]);
    const asked = await run('generate', fourth.prompt.replace('{}', fourth.subject), '--explain');
    expect(asked.output).toContain('no gate opened: the edited model answered as the base model does');
    const difference = await run('diff', '3', '5');
    expect(difference.output).toContain(`revoked  ${first.id}`);
    expect(difference.output).toContain(`revoked  ${fourth.id}`);
  });

  it('is undone by a rollback, which is undone by another: the history shows every move', async () => {
    for (const version of ['3', '5', '4']) expect(await run('rollback', version)).toMatchObject({ exitCode: 0 });
    const { output } = await run('versions', '--history');
    expect(output).toMatch(/\n3 +\S+ \S+ +2 +3 +2 .*\n4 latest +\S+ \S+ +3 +2 +-1 /);
    expect(output).toMatch(/ 5 +\S+ \S+ +publish +4 +5 +revoke by tester \(/);
    const moves = JSON.parse((await run('versions', '--history', '--json')).output).history;
    expect(moves.map(({ sequence }: { sequence: number }) => sequence)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(moves.slice(-3)).toMatchObject([
      { action: 'rollback', previous: { version: 5 }, version: 3, publishedBy: 'rollback by tester' },
      { action: 'rollback', previous: { version: 3 }, version: 5, publishedBy: 'rollback by tester' },
      { action: 'rollback', previous: { version: 5 }, version: 4, publishedBy: 'rollback by tester' },
    ]);
  });
});

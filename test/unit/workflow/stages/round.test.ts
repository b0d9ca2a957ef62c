import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeHookIds, type Edit } from '../../../../src/editing/index.js';
import { DigestMismatchError, InvalidInputError, TransientError } from '../../../../src/errors.js';
import { loadModel, loadTokenizer } from '../../../../src/model/index.js';
import { latest } from '../../../../src/registry/index.js';
import { MemoryObjectStore } from '../../../../src/registry/memory-object-store.js';
import { pullFile } from '../../../../src/registry/versions.js';
import { plannedContexts } from '../../../../src/rounds/context-templates.js';
import { heldOutSequences } from '../../../../src/rounds/held-out-sequences.js';
import { publishAttempt } from '../../../../src/rounds/publish-round.js';
import type { SolveRecord, ValidationRecord } from '../../../../src/rounds/records.js';
import type { RoundOutcome } from '../../../../src/rounds/session/edit-round.js';
import { EditSession } from '../../../../src/rounds/session/edit-session.js';
import { storeValue } from '../../../../src/rounds/stored-value.js';
import { earlierFacts, subjectsOf } from '../../../../src/rounds/subjects.js';
import { valueKeysOf } from '../../../../src/rounds/value-key.js';
import { Workbench } from '../../../../src/rounds/workbench.js';
import { loadStatistics } from '../../../../src/statistics/statistics.js';
import { attemptKey, planKeyOf, readAttempt, readPlan } from '../../../../src/workflow/plan/round-files.js';
import { judgeStage } from '../../../../src/workflow/stages/judge.js';
import { materialiseText } from '../../../../src/workflow/stored-text.js';
import { dependenciesOn } from '../../../support/control-plane.js';
import { PlannedRounds } from '../../../support/planned-round.js';
import { TaskRuns } from './task-runs.js';

/** A shard of all four edits, and one of the last two. */
const shards = [
  [0, 1],
  [2, 3],
];

let rounds: PlannedRounds;
let runs: TaskRuns;
let planKey: string;
/** The same rounds in one process, on a store of their own. */
let session: EditSession;
let expected: RoundOutcome;

const oneEditAtATime = { memoryBudgetBytes: 1 };
const valueKeys = () => rounds.store.list('models/aldermark/values/');

beforeAll(async () => {
  rounds = await PlannedRounds.open();
  runs = new TaskRuns(rounds);
  planKey = await rounds.plan();
  await runs.run('statistics', planKey);
  await runs.run('merge', planKey);
  await runs.run('values', planKey);
  await runs.run('solve', planKey);
  await runs.run('validate', planKey);
  const { store, registration, edits } = rounds;
  const { modelId, modelDigest, settings } = registration;
  const model = await loadModel(rounds.modelDirectory);
  const tokenizer = await loadTokenizer(rounds.modelDirectory);
  const plan = await readPlan(store, planKey);
  const digests = Object.fromEntries(plan.statistics.map(({ layer, digest }) => [layer, digest]));
  const { statistics } = await loadStatistics({ store, modelId, model }, digests);
  const own = { store: new MemoryObjectStore(), modelId, modelDigest, model, tokenizer, settings, statistics };
  const bench = new Workbench({ ...own, memoryBudgetBytes: 2 ** 30 });
  const heldOut = await heldOutSequences(await materialiseText(rounds, registration.heldOut!), bench);
  session = new EditSession(bench, undefined, { statistics: plan.statistics, heldOut, criteria: null });
  expected = await editInProcess(edits.slice(0, 4));
});
afterAll(async () => {
  await session.close();
  rounds.remove();
});

async function editInProcess(edits: readonly Edit[]): Promise<RoundOutcome> {
  const { value } = await session.edit([edits]).next();
  return value as RoundOutcome;
}

/** The segment of a version that was made in one process. */
async function segmentOf({ manifest }: RoundOutcome): Promise<Uint8Array> {
  return pullFile(session.store, session.modelId, manifest!.segments.at(-1)!);
}

describe('a round by tasks', () => {
  it('writes the very segment that a round in one process writes', async () => {
    const { bytes } = await rounds.store.get(attemptKey(planKey, 0, 'hooks.safetensors'));
    expect(Buffer.from(bytes).equals(await segmentOf(expected))).toBe(true);
    const { secondsForValues, secondsForSolve, ...record } = await rounds.record<SolveRecord>(planKey, 'solve.json');
    const { secondsForValues: _, secondsForSolve: __, ...direct } = expected.solved;
    expect(record).toEqual(direct);
    expect(record.thresholds[0].smallestSimilarity).toBeCloseTo(0.6, 6);
    expect(record.solvers).toEqual({ 0: { solver: 'onnx', reason: expect.stringContaining('auto, 512 rows') } });
    expect(Math.min(secondsForValues, secondsForSolve)).toBeGreaterThan(0);
  });

  it('measures what a validation in one process measures', async () => {
    const record = await rounds.record<ValidationRecord>(planKey, 'validation-0.json');
    const { schemaVersion: _, ...measured } = record;
    expect(measured).toEqual(expected.measures);
    expect(record.firedBy).toEqual(rounds.edits.slice(0, 4).map(({ id }) => id));
    expect(record.separation!.edit.every((strength) => strength > 0.6)).toBe(true);
    expect(record.separation!.text).toHaveLength(record.drift!.tokens);
  });

  it('does nothing the second time', async () => {
    for (const stage of ['statistics', 'merge', 'values', 'solve', 'validate'] as const) {
      expect(await runs.run(stage, planKey)).toEqual({ events: [], notices: [], hasComputed: false });
    }
  });

  it('searches no value that another round has found, and opens no model for it', async () => {
    const before = await valueKeys();
    expect(before).toHaveLength(4);
    const other = await rounds.plan({ shards, settings: { momentWeight: 0.5, similarityThreshold: 0.7 } });
    for (const shard of [0, 1]) expect(await runs.run('values', other, shard)).toMatchObject({ hasComputed: false });
    expect(await valueKeys()).toEqual(before);
    const finer = await rounds.plan({ settings: { steps: 2 } });
    expect(await runs.run('values', finer)).toMatchObject({ hasComputed: true });
    expect(await valueKeys()).toHaveLength(8);
  });
});

describe('edits that the criteria rejected', () => {
  it('are neither written nor measured by the next attempt, whose values are kept', async () => {
    const split = await rounds.plan({ shards });
    const rejected = rounds.edits[2].id;
    await rounds.put(attemptKey(split, 1, 'excluded.json'), [{ id: rejected, reason: 'a test' }]);
    await runs.run('solve', split, 0, 1);
    await runs.run('validate', split, 0, 1);
    await runs.run('validate', split, 1, 1);
    const ids = [0, 1, 3].map((e) => rounds.edits[e].id);
    expect(await rounds.record(split, 'solve.json', 1)).toMatchObject({ editIds: ids });
    const [first, second] = await Promise.all(
      [0, 1].map((shard) => rounds.record<ValidationRecord>(split, `validation-${shard}.json`, 1)),
    );
    expect([first, second].map(({ measurements }) => measurements.map(({ id }) => id))).toEqual([
      ids.slice(0, 2),
      ids.slice(2),
    ]);
    expect(first.drift).not.toBeNull();
    expect(second).toMatchObject({ drift: null, retention: null, gates: [] });
  });
});

describe('edits that cannot be written', () => {
  const long = 'w '.repeat(600);

  it('are refused by name, where they were pending before ingest looked at them, and the others are written', async () => {
    const edits = rounds.edits.slice(0, 4);
    const overlong = { ...edits[1], id: 'overlong', prompt: `${long}{} lives in` };
    const lost = { ...edits[2], id: 'lost', targetNew: `${edits[2].targetNew} indeed` };
    const key = await rounds.planOf([edits[0], overlong, lost, edits[3]], {
      refused: [{ id: edits[3].id, reason: 'a test' }],
    });
    const plan = await readPlan(rounds.store, key);
    // A search whose losses were no numbers.
    const contexts = (await plannedContexts(rounds.store, plan))!;
    const [lostKey] = valueKeysOf(plan, contexts, subjectsOf(plan, [lost]));
    const nothing = new Float64Array(rounds.registration.dModel).fill(Number.NaN);
    const value = { delta: nothing, losses: [Number.NaN], nll: Number.NaN, hit: false, seconds: 1 };
    await storeValue({ store: rounds.store, modelId: plan.modelId }, lostKey, value);
    for (const stage of ['values', 'solve', 'validate'] as const) await runs.run(stage, key);
    const { editIds, refused } = await rounds.record<SolveRecord>(key, 'solve.json');
    expect(editIds).toEqual([edits[0].id]);
    expect(refused).toEqual([
      { id: 'overlong', reason: expect.stringMatching(/^prompt with its target.*: 1 to 512 tokens, got \d{3,}$/) },
      { id: 'lost', reason: 'value search: losses that are numbers, got NaN after 0 steps' },
    ]);
    const { measurements } = await rounds.record<ValidationRecord>(key, 'validation-0.json');
    expect(measurements.map(({ id }) => id)).toEqual([edits[0].id]);
    const input = { modelId: plan.modelId, planKey: key, attempt: 0 };
    const judged = await judgeStage(input, dependenciesOn(rounds.store));
    expect(judged).toMatchObject({ decision: 'publish', rejected: 3 });
  });

  it('fail by name where a release without the check wrote them, so that driving the round again helps', async () => {
    const [first, second] = rounds.edits;
    const overlong = { ...second, id: 'overlong', prompt: `${long}{} lives in` };
    const key = await rounds.planOf([first, overlong]);
    const like = await rounds.planOf([first, { ...second, id: 'overlong' }]);
    for (const stage of ['values', 'solve'] as const) await runs.run(stage, like);
    // What such a release left: a solve of both, and no validation.
    for (const name of ['hooks.safetensors', 'solve.json']) {
      const { bytes } = await rounds.store.get(attemptKey(like, 0, name));
      await rounds.store.put(attemptKey(key, 0, name), bytes);
    }
    await runs.run('validate', key);
    const { modelId } = rounds.registration;
    const judged = await judgeStage({ modelId, planKey: key, attempt: 0 }, dependenciesOn(rounds.store));
    const reason = expect.stringMatching(
      /^rejected 1: overlong \(prompt with its target: 1 to 512 tokens, got \d{3}\)$/,
    );
    expect(judged).toMatchObject({ decision: 'repeat', reason });
  });

  it('end a round of nothing else as a rejected one', async () => {
    const overlong = { ...rounds.edits[1], id: 'overlong', prompt: `${long}{} lives in` };
    const key = await rounds.planOf([overlong]);
    for (const stage of ['values', 'solve', 'validate'] as const) await runs.run(stage, key);
    const { modelId } = rounds.registration;
    const judged = await judgeStage({ modelId, planKey: key, attempt: 0 }, dependenciesOn(rounds.store));
    expect(judged).toMatchObject({ decision: 'reject', rejected: 1 });
    expect(judged.reason).toMatch(/^rejected 1: overlong \(prompt with its target.*: 1 to 512 tokens, got/);
  });

  it('are those whose numbers overflow in the solve', async () => {
    const [first, second] = rounds.edits;
    const far = { ...second, id: 'far', targetNew: `${second.targetNew} surely` };
    const key = await rounds.planOf([first, far]);
    const plan = await readPlan(rounds.store, key);
    const contexts = (await plannedContexts(rounds.store, plan))!;
    const [farKey] = valueKeysOf(plan, contexts, subjectsOf(plan, [far]));
    const huge = new Float64Array(rounds.registration.dModel).fill(1e300);
    const value = { delta: huge, losses: [0.01], nll: 0.01, hit: true, seconds: 1 };
    await storeValue({ store: rounds.store, modelId: plan.modelId }, farKey, value);
    for (const stage of ['values', 'solve'] as const) await runs.run(stage, key);
    const { editIds, refused } = await rounds.record<SolveRecord>(key, 'solve.json');
    expect({ editIds, refused }).toEqual({
      editIds: [first.id],
      refused: [{ id: 'far', reason: 'residual in layer 0: a finite norm, got Infinity' }],
    });
  });
});

describe('values that were stopped', () => {
  it('are stored up to the last finished micro-batch, and the rest is searched by the next attempt', async () => {
    const settings = { steps: 3 };
    const key = await rounds.plan({ edits: 8, settings });
    const before = (await valueKeys()).length;
    const controller = new AbortController();
    const onProgress = ({ stage, done }: { stage: string; done: number }) => {
      if (stage === 'values' && done === 2) controller.abort(new TransientError('stop'));
    };
    const stopped = new TaskRuns(rounds, { ...oneEditAtATime, signal: controller.signal, listener: { onProgress } });
    await expect(stopped.run('values', key)).rejects.toThrow('stop');
    expect((await valueKeys()).length - before).toBe(2);
    const { events } = await new TaskRuns(rounds, oneEditAtATime).run('values', key);
    expect(events.find(({ stage }) => stage === 'values')!.total).toBe(6);
    expect((await valueKeys()).length - before).toBe(8);
  });
});

describe('a round on top of a version', () => {
  it('overwrites, keeps the others and writes earlier facts of its subjects again, as one in one process does', async () => {
    const { store, edits, registration } = rounds;
    const { modelId, dModel, dInner } = registration;
    const plan = await readPlan(store, planKey);
    const what = attemptKey(planKey, 0, 'hooks.safetensors');
    const { bytes: hooks } = await store.get(what);
    const judgement = { offenders: [], criteria: null };
    const records = await readAttempt(store, planKey, 0, plan);
    const attempt = { ...records, plan, judgement, rejectedEdits: [], dModel, dInner };
    await publishAttempt(store, attempt, { what, hooks, publishedBy: 'a test' });
    const { version, etag, manifest } = (await latest(store, modelId))!;
    const overwriting = { ...edits[0], id: 'again', targetNew: edits[1].targetNew };
    const another = { ...edits[5], id: 'another', subject: edits[1].subject };
    const written = [overwriting, another, edits[5]];
    const overwrites = [{ newId: 'again', oldId: edits[0].id }];
    const earlier = await earlierFacts(store, manifest, written);
    expect(earlier.map(({ edit }) => edit)).toEqual([edits[0], edits[1]]);
    const key = await rounds.planOf(written, { base: { version, etag }, overwrites, earlier });
    const before = (await valueKeys()).length;
    for (const stage of ['values', 'solve', 'validate'] as const) await runs.run(stage, key);
    expect((await valueKeys()).length - before).toBe(3);
    const { bytes } = await store.get(attemptKey(key, 0, 'hooks.safetensors'));
    const direct = await editInProcess(written);
    expect(Buffer.from(bytes).equals(await segmentOf(direct))).toBe(true);
    const record = await rounds.record<ValidationRecord>(key, 'validation-0.json');
    expect(record.firedBy).toEqual(['again', 'another', edits[5].id]);
    const answer = { id: edits[1].id, text: expect.stringContaining(edits[1].targetNew), said: true };
    expect(record.companions).toEqual([{ version, id: edits[1].id, reliability: 1, answer }]);
    expect(record.retention).toBe(1);
    // A value depends on the facts of its subject, and on nothing that was written before.
    const alone = await rounds.planOf([overwriting, edits[5]]);
    expect(await runs.run('values', alone)).toMatchObject({ hasComputed: false });
  });

  it('has a value for what is left of a subject whose new edit the criteria rejected', async () => {
    const { store, edits } = rounds;
    const { version, etag, manifest } = (await latest(store, rounds.registration.modelId))!;
    const [first, second] = [2, 3].map((e) => ({ ...edits[e], id: `new-${e}`, subject: edits[1].subject }));
    const earlier = await earlierFacts(store, manifest, [first, second]);
    const key = await rounds.planOf([first, second], { base: { version, etag }, earlier });
    await runs.run('values', key);
    await rounds.put(attemptKey(key, 1, 'excluded.json'), [{ id: second.id, reason: 'a test' }]);
    const before = (await valueKeys()).length;
    await runs.run('solve', key, 0, 1);
    expect((await valueKeys()).length - before).toBe(1);
    const { editIds, memories } = await rounds.record<SolveRecord>(key, 'solve.json', 1);
    expect(editIds).toEqual([first.id]);
    expect(memories).toMatchObject([{ editIds: [first.id], earlier: [{ version: 1, id: edits[1].id }] }]);
    // Where nothing new is left, the rows that say the earlier fact stay.
    await rounds.put(
      attemptKey(key, 2, 'excluded.json'),
      [first, second].map(({ id }) => ({ id, reason: 'a test' })),
    );
    await runs.run('solve', key, 0, 2);
    const what = attemptKey(key, 2, 'hooks.safetensors');
    expect(decodeHookIds((await store.get(what)).bytes, what)).toEqual({ addedIds: [], removedIds: [] });
  });
});

describe('what is damaged or missing', () => {
  it('is named and never computed with', async () => {
    const key = await rounds.plan({ edits: 3, settings: { steps: 4 } });
    await expect(runs.run('solve', key)).rejects.toThrow(TransientError);
    await expect(runs.run('values', key, 1)).rejects.toThrow(InvalidInputError);
    const before = new Set(await valueKeys());
    await runs.run('values', key);
    const [value] = (await valueKeys()).filter((found) => !before.has(found));
    rounds.damage(value);
    await expect(runs.run('values', key)).rejects.toThrow(value);
    await expect(runs.run('solve', key)).rejects.toThrow(DigestMismatchError);
    rounds.damage(value);
    await runs.run('solve', key);
    rounds.damage(attemptKey(key, 0, 'hooks.safetensors'));
    await expect(runs.run('validate', key)).rejects.toThrow(DigestMismatchError);
    const absent = planKeyOf('aldermark', 'f'.repeat(16), 'f'.repeat(16));
    await expect(runs.run('validate', absent)).rejects.toThrow('present in the store');
  });
});

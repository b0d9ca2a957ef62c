import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodeHookFile, replaySegments } from '../../../../src/editing/index.js';
import { DigestMismatchError, InvalidInputError, TransientError } from '../../../../src/errors.js';
import { loadModel, loadTokenizer } from '../../../../src/model/index.js';
import { digestOf, latest } from '../../../../src/registry/index.js';
import { heldOutSequences } from '../../../../src/rounds/held-out-sequences.js';
import { layerChanges } from '../../../../src/rounds/layer-changes.js';
import { publishRound } from '../../../../src/rounds/publish-round.js';
import type { SolveRecord, ValidationRecord, VersionMetrics } from '../../../../src/rounds/records.js';
import { runRound, type WrittenRound } from '../../../../src/rounds/run-round.js';
import { type Validation, validateRound } from '../../../../src/rounds/validate-round.js';
import { Workbench } from '../../../../src/rounds/workbench.js';
import { loadStatistics } from '../../../../src/statistics/statistics.js';
import { attemptKey, planKeyOf } from '../../../../src/workflow/plan/round-files.js';
import { materialiseText } from '../../../../src/workflow/stored-text.js';
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
let bench: Workbench;
let digests: Record<string, string>;
let expected: { round: WrittenRound; validation: Validation };

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
  const plan = JSON.parse(new TextDecoder().decode((await store.get(planKey)).bytes));
  digests = { 0: plan.statistics[0].digest };
  const { statistics } = await loadStatistics({ store, modelId, model }, digests);
  const memoryBudgetBytes = 2 ** 30;
  bench = new Workbench({ store, modelId, modelDigest, model, tokenizer, settings, statistics, memoryBudgetBytes });
  const round = await runRound(bench, bench.emptyState, edits.slice(0, 4), []);
  const heldOut = await heldOutSequences(await materialiseText(rounds, registration.heldOut!), bench);
  expected = { round, validation: await validateRound(bench, round.state, edits.slice(0, 4), [], heldOut) };
});
afterAll(async () => {
  await bench.dispose();
  rounds.remove();
});

describe('a round by tasks', () => {
  it('writes the very segment that a round in one process writes', async () => {
    const { bytes } = await rounds.store.get(attemptKey(planKey, 0, 'hooks.safetensors'));
    const segment = encodeHookFile({ segment: expected.round.segment, sketches: bench.sketches });
    expect(Buffer.from(bytes).equals(segment)).toBe(true);
    const record = await rounds.record<SolveRecord>(planKey, 'solve.json');
    expect(record).toMatchObject({
      editIds: expected.round.state.editIds,
      segmentSha256: digestOf(segment),
      segmentSizeBytes: segment.length,
      writtenShare: expected.round.writtenShare.map((share) => Array.from(share)),
      valueSteps: expected.round.targets.map(({ losses }) => losses.length - 1),
      valueLosses: expected.round.targets.map(({ losses }) => losses.at(-1)),
    });
    const state = await replaySegments(bench.emptyState, [expected.round.segment], bench.engine);
    expect(record.layers).toMatchObject(await layerChanges(bench.model, state, bench.engine));
    expect(record.thresholds[0].smallestSimilarity).toBeCloseTo(0.6, 6);
    expect(record.solvers).toEqual({ 0: { solver: 'onnx', reason: expect.stringContaining('auto, 512 rows') } });
    expect(record.secondsForValues).toBeGreaterThan(0);
  });

  it('measures what a validation in one process measures', async () => {
    const record = await rounds.record<ValidationRecord>(planKey, 'validation-0.json');
    const { measurements, answers, before, drift, retention } = expected.validation;
    expect(record).toMatchObject({ measurements, answers, before, drift, retention, gates: [] });
    expect(record.firedBy).toEqual(rounds.edits.slice(0, 4).map(({ id }) => id));
    expect(record.separation!.edit.every((strength) => strength > 0.6)).toBe(true);
    expect(record.separation!.text).toHaveLength(drift!.tokens);
  });

  it('does nothing the second time', async () => {
    for (const stage of ['statistics', 'merge', 'values', 'solve', 'validate'] as const) {
      expect(await runs.run(stage, planKey)).toEqual({ events: [], notices: [], hasComputed: false });
    }
  });

  it('seeks no value that another round has found, and opens no model for it', async () => {
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

describe('edits that the gate took out', () => {
  it('are neither written nor measured by the next attempt, whose values are kept', async () => {
    const split = await rounds.plan({ shards });
    const dropped = rounds.edits[2].id;
    await rounds.put(attemptKey(split, 1, 'excluded.json'), [{ id: dropped, reason: 'a test' }]);
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

describe('values that were stopped', () => {
  it('are stored up to the last finished micro-batch, and the rest is sought by the next attempt', async () => {
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
  it('overwrites, keeps the others, and does not take values of another base', async () => {
    const { store, edits, registration } = rounds;
    const { modelId, modelDigest } = registration;
    const request = { store, modelId, modelDigest, statisticsDigests: digests, base: undefined, report: '<p>' };
    const metrics = { edits: 4 } as VersionMetrics;
    await publishRound(bench, { ...request, round: expected.round, metrics, publishedBy: 'a test' });
    const { version, etag } = (await latest(store, modelId))!;
    const overwriting = { ...edits[0], id: 'again', targetNew: edits[1].targetNew };
    const inner = rounds as { edits: typeof edits };
    const given = inner.edits;
    inner.edits = [overwriting, edits[5]];
    const overwrites = [{ newId: 'again', oldId: edits[0].id }];
    const key = await rounds.plan({ edits: 2, base: { version, etag }, overwrites });
    inner.edits = given;
    const before = (await valueKeys()).length;
    for (const stage of ['values', 'solve', 'validate'] as const) await runs.run(stage, key);
    expect((await valueKeys()).length - before).toBe(2);
    const { bytes } = await store.get(attemptKey(key, 0, 'hooks.safetensors'));
    const direct = await runRound(bench, expected.round.state, [overwriting, edits[5]], [edits[0].id]);
    expect(Buffer.from(bytes).equals(encodeHookFile({ segment: direct.segment, sketches: [] }))).toBe(true);
    const { retention, firedBy } = await rounds.record<ValidationRecord>(key, 'validation-0.json');
    expect(firedBy).toEqual(['again', edits[5].id]);
    expect(retention).toBe(1);
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

import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { batchByRows } from '../../../../src/editing/index.js';
import { DigestMismatchError, InvalidInputError, TransientError } from '../../../../src/errors.js';
import { loadModel, loadTokenizer } from '../../../../src/model/index.js';
import type { Progress } from '../../../../src/progress.js';
import { MemoryObjectStore } from '../../../../src/registry/memory-object-store.js';
import { contextTemplates } from '../../../../src/rounds/context-templates.js';
import { cpu, OnnxGemmEngine } from '../../../../src/runtime/index.js';
import { HookableModel } from '../../../../src/serving/index.js';
import { ensureStatistics } from '../../../../src/statistics/index.js';
import { sequencesOfShard } from '../../../../src/statistics/moment-shards.js';
import { decodeSafetensors } from '../../../../src/tensor/index.js';
import { materialiseText } from '../../../../src/workflow/stored-text.js';
import { PlannedRounds } from '../../../support/planned-round.js';
import { uniform } from '../../../support/random-matrix.js';
import { TaskRuns } from './task-runs.js';

let rounds: PlannedRounds;
let runs: TaskRuns;
beforeEach(async () => {
  rounds = await PlannedRounds.open();
  runs = new TaskRuns(rounds);
});
afterEach(() => rounds.remove());

/** Key statistics and contexts as one process makes them. */
async function unsharded(): Promise<MemoryObjectStore> {
  const store = new MemoryObjectStore();
  const { registration } = rounds;
  const { modelId, modelDigest, settings } = registration;
  const model = await loadModel(rounds.modelDirectory);
  const tokenizer = await loadTokenizer(rounds.modelDirectory);
  const corpus = { path: await materialiseText(rounds, registration.corpus!) };
  const engine = new OnnxGemmEngine();
  const { maxTokens, sequenceTokens } = registration.statistics;
  const place = { store, modelId, model, modelDigest, tokenizer, engine, device: cpu };
  await ensureStatistics({ ...place, ...settings, corpus, maxTokens, sequenceTokens });
  const edited = await HookableModel.compile(model, { layers: settings.layers, gate: settings.gate });
  await contextTemplates({ ...place, ...settings, edited });
  return store;
}

const statisticsKeys = async (store: { list(prefix: string): Promise<readonly string[]> }) =>
  (await store.list('models/aldermark/statistics/')).filter((key) => !key.endsWith('/inputs.json'));

async function numbersOf(store: Pick<MemoryObjectStore, 'get'>, key: string): Promise<number[]> {
  const { tensors } = decodeSafetensors((await store.get(key)).bytes, key);
  return [...tensors.values()].flatMap(({ data }) => Array.from(data as Float64Array));
}

describe.each([1, 3])('key statistics in %i shards', (shards) => {
  it('are those of one pass to 1e-12, under the same keys, with the same context templates', async () => {
    const planKey = await rounds.plan({ statisticsShards: shards });
    // Tasks of a Map end in any order.
    for (let shard = shards - 1; shard >= 0; shard--) await runs.run('statistics', planKey, shard);
    await runs.run('merge', planKey);
    const expected = await unsharded();
    const keys = await statisticsKeys(expected);
    expect(await statisticsKeys(rounds.store)).toEqual(keys);
    expect(keys.map((key) => key.split('/').at(-1)).sort()).toEqual([
      ...['contexts.json', 'factor.safetensors', 'moment.safetensors'],
    ]);
    for (const key of keys) {
      if (key.endsWith('.json')) expect(await rounds.store.get(key)).toEqual(await expected.get(key));
      else
        expect(await numbersOf(rounds.store, key)).toBeAllclose(await numbersOf(expected, key), {
          relative: 1e-12,
          absolute: 1e-12,
        });
    }
  });
});

describe('the merge', () => {
  it('says once who factors, as it was told, and keeps it with the factor', async () => {
    const planKey = await rounds.plan();
    await runs.run('statistics', planKey);
    const asked = new TaskRuns(rounds, { solver: { choice: 'onnx' } });
    const { notices } = await asked.run('merge', planKey);
    expect(notices.filter((notice) => notice.startsWith('factored'))).toEqual(['factored by onnx: as asked for']);
    const key = (await statisticsKeys(rounds.store)).find((name) => name.endsWith('factor.safetensors'))!;
    const { metadata } = decodeSafetensors((await rounds.store.get(key)).bytes, key);
    expect(metadata).toMatchObject({ solver: 'onnx', reason: 'as asked for' });
  });
});

describe('a second run', () => {
  it('of a shard or of the merge does nothing', async () => {
    const planKey = await rounds.plan({ statisticsShards: 2 });
    for (const shard of [0, 1])
      expect(await runs.run('statistics', planKey, shard)).toMatchObject({ hasComputed: true });
    expect(await runs.run('statistics', planKey, 1)).toEqual({ events: [], notices: [], hasComputed: false });
    expect(await runs.run('merge', planKey)).toMatchObject({ hasComputed: true });
    for (const shard of [0, 1])
      expect(await runs.run('statistics', planKey, shard)).toMatchObject({ hasComputed: false });
    expect(await runs.run('merge', planKey)).toEqual({ events: [], notices: [], hasComputed: false });
  });

  it('of the merge that was stopped after the statistics writes the contexts only', async () => {
    const planKey = await rounds.plan();
    await runs.run('statistics', planKey);
    await runs.run('merge', planKey);
    const contexts = (await statisticsKeys(rounds.store)).find((key) => key.endsWith('contexts.json'))!;
    const { bytes } = await rounds.store.get(contexts);
    await rounds.store.delete(contexts);
    const { events } = await runs.run('merge', planKey);
    expect(events.filter(({ stage }) => stage === 'factor')).toEqual([]);
    expect((await rounds.store.get(contexts)).bytes).toEqual(bytes);
  });

  it('of a shard that was told to stop goes on from its checkpoint', async () => {
    const planKey = await rounds.plan();
    const controller = new AbortController();
    const stop = ({ stage, done }: Progress) =>
      stage === 'statistics' && done > 0 && controller.abort(new TransientError('stop'));
    const stopped = new TaskRuns(rounds, { listener: { onProgress: stop }, signal: controller.signal });
    await expect(stopped.run('statistics', planKey)).rejects.toThrow('stop');
    const { events } = await runs.run('statistics', planKey);
    expect(events.find(({ stage }) => stage === 'statistics')!.done).toBeGreaterThan(0);
    expect((await rounds.store.list('models/')).filter((key) => key.includes('partial'))).toEqual([]);
  });
});

describe('what is not as it should be', () => {
  it('is told before anything is computed', async () => {
    const planKey = await rounds.plan({ statisticsShards: 2 });
    await expect(runs.run('statistics', planKey, 2)).rejects.toThrow(
      new InvalidInputError('--shard', "one of the plan's 2, counted from 0", '2'),
    );
    await expect(runs.run('merge', planKey)).rejects.toThrow('sums of all 2 shards, got fewer');
    rounds.damage(rounds.registration.corpus!.key);
    await expect(runs.run('statistics', planKey)).rejects.toThrow(DigestMismatchError);
  });

  it('includes sums that were damaged', async () => {
    const planKey = await rounds.plan();
    await runs.run('statistics', planKey);
    const sums = (await rounds.store.list('models/')).find((key) => key.endsWith('sums.safetensors'))!;
    rounds.damage(sums);
    await expect(runs.run('merge', planKey)).rejects.toThrow(DigestMismatchError);
  });
});

describe('the parts of a corpus', () => {
  it('are contiguous, whole forward passes, and of about as many tokens each', () => {
    const next = uniform(5);
    const sequences = Array.from({ length: 200 }, (_, s) => new Array<number>(1 + Math.floor(next() * 60)).fill(s));
    for (const shards of [1, 2, 3, 7]) {
      const parts = Array.from({ length: shards }, (_, shard) => sequencesOfShard(sequences, 100, { shard, shards }));
      expect(parts.flat()).toEqual(sequences);
      const batches = (part: typeof sequences) => batchByRows(part, ({ length }) => length, 100);
      expect(parts.flatMap((part) => batches(part as typeof sequences))).toEqual(batches(sequences));
      const tokens = parts.map((part) => part.flat().length);
      expect(Math.max(...tokens) - Math.min(...tokens)).toBeLessThan(300);
    }
  });
});

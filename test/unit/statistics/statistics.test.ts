import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { KeyStatistics } from '../../../src/editing/index.js';
import { DigestMismatchError, InvalidInputError, MalformedFileError } from '../../../src/errors.js';
import { multiply } from '../../../src/linalg/gemm.js';
import { keySketch, matrix, PlainGemmEngine, Solver, transpose } from '../../../src/linalg/index.js';
import type { Progress } from '../../../src/progress.js';
import type { ObjectStore } from '../../../src/registry/index.js';
import { MemoryObjectStore } from '../../../src/registry/memory-object-store.js';
import { solversOf } from '../../../src/rounds/version-metrics.js';
import { ensureStatistics, loadStatistics, type StatisticsRequest } from '../../../src/statistics/index.js';
import { decodeSealed, encodeSealed } from '../../../src/statistics/sealed-tensors.js';
import { decodeSafetensors } from '../../../src/tensor/index.js';
import { crashingAfter, withFaultyWrites } from '../../support/faulty-object-store.js';
import { tolerances } from '../../support/matchers.js';
import { madeUpText, TinyDecoder } from '../../support/tiny-decoder.js';

let tiny: TinyDecoder;
let corpus: { path: string };
beforeAll(async () => {
  tiny = await TinyDecoder.open();
  corpus = { path: await tiny.write('corpus.txt', madeUpText(30, 7)) };
});
afterAll(() => tiny.remove());

const modelId = 'tiny';

function requestOn(store: ObjectStore, more: Partial<StatisticsRequest> = {}): StatisticsRequest {
  const { model, tokenizer, digest: modelDigest } = tiny;
  const numbers = { rowsPerBatch: 100, sketchRank: 5, seed: 3, layers: [0, 1], engine: new PlainGemmEngine() };
  return { store, modelId, model, modelDigest, tokenizer, corpus, ...numbers, ...more };
}

async function contentOf(store: ObjectStore): Promise<Record<string, string>> {
  const entries = (await store.list('')).map(async (key) => [
    key,
    Buffer.from((await store.get(key)).bytes).toString('hex'),
  ]);
  return Object.fromEntries(await Promise.all(entries));
}

/** What an undisturbed run leaves. */
async function wholeRun(more: Partial<StatisticsRequest> = {}): Promise<Record<string, string>> {
  const store = new MemoryObjectStore();
  await ensureStatistics(requestOn(store, more));
  return contentOf(store);
}

const keyOf = (digest: string, name: string) => `models/tiny/statistics/${digest}/${name}`;

describe('who made a factor', () => {
  const engine = new PlainGemmEngine();
  const ofLayers = (statistics: readonly KeyStatistics[]) => statistics.map(({ origin }) => origin);

  it('is kept with it, and told of those that are loaded', async () => {
    const store = new MemoryObjectStore();
    const solver = new Solver({ choice: 'tensorflow', tensorflowFolder: tiny.folder, engine });
    const { statistics, digests } = await ensureStatistics(requestOn(store, { engine, solver }));
    const reason = expect.stringMatching(/^tensorflow was asked for, but .* is not installed in /);
    expect(ofLayers(statistics)).toEqual(Array(2).fill({ solver: 'onnx', reason }));
    const loaded = await loadStatistics({ store, modelId, model: tiny.model }, digests);
    expect(ofLayers(loaded.statistics)).toEqual(ofLayers(statistics));
    expect(solversOf(statistics)).toEqual({ solvers: { 0: statistics[0].origin, 1: statistics[1].origin } });
  });

  it('is not told of statistics that do not say it, which are read as before', async () => {
    const store = new MemoryObjectStore();
    const first = await ensureStatistics(requestOn(store));
    const older = new MemoryObjectStore();
    for (const key of await store.list('')) {
      const { bytes } = await store.get(key);
      await older.put(key, key.endsWith('factor.safetensors') ? withoutOrigin(bytes, key) : bytes);
    }
    const { statistics } = await loadStatistics({ store: older, modelId, model: tiny.model }, first.digests);
    expect(statistics).toEqual(first.statistics.map(({ origin, ...rest }) => rest));
    expect(solversOf(statistics)).toEqual({});
  });
});

function withoutOrigin(bytes: Uint8Array, key: string): Uint8Array {
  const { tensors, metadata } = decodeSealed(bytes, key);
  const { solver, reason, ...rest } = metadata;
  expect({ solver, reason }).toEqual({ solver: 'onnx', reason: 'no other was offered' });
  return encodeSealed(tensors, rest);
}

describe('statistics from a corpus', () => {
  it('are the inverse factor of the stored moment with its ridge, and the sketch of it', async () => {
    const store = new MemoryObjectStore();
    const relativeRidge = 0.01;
    const { statistics, digests } = await ensureStatistics(requestOn(store, { relativeRidge }));
    for (const { layer, inverseFactor, sketch } of statistics) {
      const size = inverseFactor.rows;
      const { bytes } = await store.get(keyOf(digests[layer], 'moment.safetensors'));
      const packed = decodeSafetensors(bytes, 'moment').tensors.get('moment')!.data as Float64Array;
      const at = (i: number, j: number) => packed[(Math.max(i, j) * (Math.max(i, j) + 1)) / 2 + Math.min(i, j)];
      const moment = matrix(size, size).data.map((_, e) => at(Math.floor(e / size), e % size));
      let trace = 0;
      for (let i = 0; i < size; i++) trace += at(i, i);
      for (let i = 0; i < size; i++) moment[i * size + i] += (relativeRidge * trace) / size;
      const unit = multiply(multiply(inverseFactor, matrix(size, size, moment)), transpose(inverseFactor));
      const expected = moment.map((_, e) => (e % (size + 1) === 0 ? 1 : 0));
      expect(unit.data).toBeAllclose(expected, tolerances.float64);
      const again = await keySketch(inverseFactor, new PlainGemmEngine(), 5, 3);
      expect(sketch.data).toBeAllclose(again.data, tolerances.float64);
    }
  });

  it('come from the store the second time, without a pass, in the wanted order', async () => {
    const store = new MemoryObjectStore();
    const first = await ensureStatistics(requestOn(store));
    const before = await contentOf(store);
    const events: Progress[] = [];
    const request = requestOn(store, { layers: [1, 0], onProgress: (event) => events.push(event) });
    const second = await ensureStatistics(request);
    expect(events).toEqual([]);
    expect(second.statistics).toEqual(first.statistics.toReversed());
    expect(second.digests).toEqual(first.digests);
    expect(second.tokens).toBe(first.tokens);
    expect(await contentOf(store)).toEqual(before);
  });

  it('are computed only for the layers that are missing', async () => {
    const store = new MemoryObjectStore();
    const alone = await ensureStatistics(requestOn(store, { layers: [1] }));
    const factorEvents: Progress[] = [];
    const onProgress = (event: Progress) => event.stage === 'factor' && factorEvents.push(event);
    const both = await ensureStatistics(requestOn(store, { onProgress }));
    expect(both.statistics[1]).toEqual(alone.statistics[0]);
    expect(factorEvents.map(({ done, total }) => [done, total])).toEqual([
      [0, 1],
      [1, 1],
    ]);
    expect(await contentOf(store)).toEqual(await wholeRun());
  });

  it('tell after every batch how many tokens are done, and end at all of them', async () => {
    const events: Progress[] = [];
    const { tokens } = await ensureStatistics(
      requestOn(new MemoryObjectStore(), { onProgress: (event) => events.push(event) }),
    );
    const counts = events.filter(({ stage }) => stage === 'statistics');
    expect(counts.every(({ total, unit }) => total === tokens && unit === 'tokens')).toBe(true);
    expect(counts[0].done).toBe(0);
    expect(counts.at(-1)!.done).toBe(tokens);
    expect(counts.length).toBeGreaterThan(tokens / 100);
    const steps = counts.slice(1).map(({ done }, i) => done - counts[i].done);
    expect(Math.min(...steps)).toBeGreaterThan(0);
    expect(Math.max(...steps)).toBeLessThanOrEqual(100);
  });

  it('have a digest of their own for every input', async () => {
    const other = { path: await tiny.write('other.txt', madeUpText(30, 8)) };
    const variants: Partial<StatisticsRequest>[] = [
      {},
      { corpus: other },
      { maxTokens: 300 },
      { sequenceTokens: 20 },
      { relativeRidge: 1e-3 },
      { sketchRank: 6 },
      { seed: 4 },
      { modelDigest: 'f'.repeat(64) },
      { layers: [1] },
    ];
    const store = new MemoryObjectStore();
    const digests = new Set<string>();
    for (const variant of variants) {
      const result = await ensureStatistics(requestOn(store, { layers: [0], ...variant }));
      digests.add(Object.values(result.digests)[0]);
    }
    expect(digests.size).toBe(variants.length);
  });

  it('say when the text is too short for them, and work nevertheless', async () => {
    const short = { path: await tiny.write('short.txt', 'One line.') };
    const few = await ensureStatistics(requestOn(new MemoryObjectStore(), { corpus: short }));
    expect(few.tokens).toBe(tiny.tokenizer.encode('One line.').ids.length);
    expect(few.notices).toEqual([
      `tokens of the key statistics: 192 or more (4 dInner), got ${few.tokens}; directions the text does not show are held by the ridge alone`,
    ]);
    const enough = await ensureStatistics(requestOn(new MemoryObjectStore(), { maxTokens: 192 }));
    expect(enough.tokens).toBe(192);
    expect(enough.notices).toEqual([]);
  });

  it('are those of another writer who stored them first', async () => {
    const store = new MemoryObjectStore();
    const theirs = await ensureStatistics(requestOn(new MemoryObjectStore(), { rowsPerBatch: 37 }));
    const overtaken = withFaultyWrites(store, async (write, key) => {
      if (key.endsWith('factor.safetensors') && (await store.head(key)) === undefined) {
        await ensureStatistics(requestOn(store, { rowsPerBatch: 37 }));
      }
      return write();
    });
    const ours = await ensureStatistics(requestOn(overtaken));
    expect(ours.digests).toEqual(theirs.digests);
    expect((await ensureStatistics(requestOn(store))).statistics).toEqual(ours.statistics);
  });
});

describe('a run that was stopped', () => {
  it.each([1, 2, 4])('by an error after %i batches goes on there, to the same bytes', async (batches) => {
    const store = new MemoryObjectStore();
    let events = 0;
    const stopping = () => {
      if (events++ === batches) throw new Error('stop');
    };
    const paced = { checkpointSeconds: 0 };
    await expect(ensureStatistics(requestOn(store, { ...paced, onProgress: stopping }))).rejects.toThrow('stop');
    const resumed: Progress[] = [];
    await ensureStatistics(requestOn(store, { ...paced, onProgress: (event) => resumed.push(event) }));
    expect(resumed[0].done).toBeGreaterThan(0);
    expect(await contentOf(store)).toEqual(await wholeRun());
  });

  it('by a signal keeps what it has done', async () => {
    const store = new MemoryObjectStore();
    const controller = new AbortController();
    const done: number[] = [];
    const onProgress = (event: Progress) => {
      done.push(event.done);
      if (done.length === 3) controller.abort(new Error('enough'));
    };
    const request = requestOn(store, { onProgress, signal: controller.signal });
    await expect(ensureStatistics(request)).rejects.toThrow('enough');
    await expect(ensureStatistics(request)).rejects.toThrow('enough');
    const resumed: number[] = [];
    await ensureStatistics(requestOn(store, { onProgress: (event) => resumed.push(event.done) }));
    expect(resumed[0]).toBeGreaterThan(done[2]);
    expect(await contentOf(store)).toEqual(await wholeRun());
  });

  it('before any of its writes leaves nothing that the next one does not complete', async () => {
    const paced = { checkpointSeconds: 0, maxTokens: 400 };
    const expected = await wholeRun({ maxTokens: 400 });
    for (let writes = 0; ; writes++) {
      const store = new MemoryObjectStore();
      const crashing = requestOn(crashingAfter(store, writes), paced);
      const outcome = await ensureStatistics(crashing).then(
        () => 'done',
        () => 'crashed',
      );
      await ensureStatistics(requestOn(store, paced));
      expect(await contentOf(store)).toEqual(expected);
      if (outcome === 'done') return expect(writes).toBeGreaterThan(10);
    }
  });
});

describe('damaged objects', () => {
  async function damage(store: ObjectStore, key: string, change: (bytes: Uint8Array) => Uint8Array): Promise<void> {
    await store.put(key, change((await store.get(key)).bytes));
  }
  const flipLast = (bytes: Uint8Array) => bytes.map((byte, i) => (i === bytes.length - 1 ? byte ^ 1 : byte));

  it('are named: a factor, a moment, and what lies under another name', async () => {
    const store = new MemoryObjectStore();
    const { digests } = await ensureStatistics(requestOn(store));
    const factor = keyOf(digests[0], 'factor.safetensors');
    const moment = keyOf(digests[0], 'moment.safetensors');
    const { bytes: intact } = await store.get(factor);
    await damage(store, factor, flipLast);
    await expect(ensureStatistics(requestOn(store))).rejects.toThrow(DigestMismatchError);
    await expect(ensureStatistics(requestOn(store))).rejects.toThrow(factor);
    await store.put(factor, intact.subarray(0, 100));
    await expect(ensureStatistics(requestOn(store))).rejects.toThrow(MalformedFileError);
    await store.delete(factor);
    await damage(store, moment, flipLast);
    await expect(ensureStatistics(requestOn(store))).rejects.toThrow(moment);
    await store.put(keyOf(digests[1], 'factor.safetensors'), intact);
    await expect(loadStatistics(requestOn(store), { 1: digests[1] })).rejects.toThrow('statistics of layer 1');
    await expect(loadStatistics(requestOn(store), { 0: digests[1] })).rejects.toThrow('statistics of layer 0');
  });

  it('are named: a checkpoint', async () => {
    const store = new MemoryObjectStore();
    const signal = AbortSignal.abort(new Error('enough'));
    const stopAtOnce = requestOn(store, { checkpointSeconds: 0, onProgress: ({ done }) => done > 0 && failing() });
    const failing = () => {
      throw new Error('stop');
    };
    await expect(ensureStatistics(stopAtOnce)).rejects.toThrow('stop');
    const [partial] = await store.list('');
    expect(partial).toMatch(/partial\.safetensors$/);
    await damage(store, partial, flipLast);
    await expect(ensureStatistics(requestOn(store))).rejects.toThrow(partial);
    await store.delete(partial);
    await expect(ensureStatistics(requestOn(store, { signal }))).rejects.toThrow('enough');
  });
});

describe('statistics without a corpus', () => {
  const stored = (store: ObjectStore, more: Partial<StatisticsRequest> = {}) =>
    ensureStatistics(requestOn(store, { corpus: undefined, ...more }));

  it('are the ones in the store', async () => {
    const store = new MemoryObjectStore();
    const first = await ensureStatistics(requestOn(store));
    expect(await stored(store)).toEqual(first);
    expect(await loadStatistics(requestOn(store), first.digests)).toEqual(first);
  });

  it('need a corpus where the store has none of the layer, of the model, or not all of it', async () => {
    const store = new MemoryObjectStore();
    await expect(stored(store)).rejects.toThrow(
      '--corpus: a text file to compute the key statistics of layers 0, 1 from, as none are stored, got nothing',
    );
    const { digests } = await ensureStatistics(requestOn(store, { layers: [0] }));
    await expect(stored(store)).rejects.toThrow('statistics of layers 1 from');
    await expect(stored(store, { layers: [0], modelDigest: 'f'.repeat(64) })).rejects.toThrow(InvalidInputError);
    await store.delete(keyOf(digests[0], 'factor.safetensors'));
    await expect(stored(store, { layers: [0] })).rejects.toThrow('statistics of layers 0 from');
    await expect(loadStatistics(requestOn(store), digests)).rejects.toThrow(InvalidInputError);
  });

  it('need a corpus where the store has several', async () => {
    const store = new MemoryObjectStore();
    await ensureStatistics(requestOn(store, { layers: [0] }));
    await ensureStatistics(requestOn(store, { maxTokens: 300 }));
    await expect(stored(store)).rejects.toThrow('several are stored for layers 0, got nothing');
    expect((await stored(store, { layers: [1] })).tokens).toBe(300);
  });
});

describe('input out of range', () => {
  it('is refused before any work', async () => {
    const store = new MemoryObjectStore();
    const missing = { path: `${tiny.folder}/missing.txt` };
    for (const layers of [[], [2], [-1], [0.5], [0, 0]]) {
      const request = requestOn(store, { layers, corpus: missing });
      await expect(ensureStatistics(request)).rejects.toThrow('layers of key statistics: different layers of 0 .. 1');
    }
    const settings: Partial<StatisticsRequest>[] = [
      { maxTokens: 0 },
      { sequenceTokens: 1.5 },
      { relativeRidge: -1 },
      { sketchRank: 0 },
      { seed: -1 },
      { rowsPerBatch: 0 },
      { checkpointSeconds: Number.NaN },
    ];
    for (const setting of settings) {
      const request = requestOn(store, { ...setting, corpus: missing });
      await expect(ensureStatistics(request)).rejects.toThrow(Object.keys(setting)[0]);
    }
    await expect(ensureStatistics(requestOn(store, { corpus: missing }))).rejects.toThrow(InvalidInputError);
    await expect(ensureStatistics(requestOn(store, { corpus: missing }))).rejects.toThrow(missing.path);
    expect(await store.list('')).toEqual([]);
  });

  it('includes a corpus without text', async () => {
    const store = new MemoryObjectStore();
    const empty = { path: await tiny.write('empty.txt', '') };
    await expect(ensureStatistics(requestOn(store, { corpus: empty }))).rejects.toThrow(MalformedFileError);
    expect(await store.list('')).toEqual([]);
  });
});

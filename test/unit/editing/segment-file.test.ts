import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  decodeHookFile,
  emptyState,
  encodeHookFile,
  type HookSegment,
  replaySegments,
  resolveHyperparameters,
  roundSketch,
  segmentStorage,
} from '../../../src/editing/index.js';
import { MalformedFileError } from '../../../src/errors.js';
import { replayRound } from '../../../src/linalg/edit-memory.js';
import { multiply } from '../../../src/linalg/gemm.js';
import {
  appendRound,
  type EditMemory,
  emptyMemory,
  type GemmEngine,
  inverseFactor,
  type Matrix,
  matrix,
  PlainGemmEngine,
} from '../../../src/linalg/index.js';
import { identity } from '../../../src/linalg/matrix.js';
import type { ModelConfig } from '../../../src/model/index.js';
import { OnnxGemmEngine } from '../../../src/runtime/index.js';
import { decodeSafetensors, encodeSafetensors, tensor } from '../../../src/tensor/index.js';
import { gaussian, spectrumRoot } from '../../support/random-matrix.js';

const dInner = 12;
const dModel = 6;
const engine = new PlainGemmEngine();
const config = { layers: 4, dInner, dModel } as ModelConfig;
const settings = resolveHyperparameters({ layers: [1, 2] }, config);
const { memory: empty } = emptyState(config, settings).layers[0];

function random(rows: number, columns: number, seed: number): Matrix {
  let state = seed;
  return matrix(
    rows,
    columns,
    Float64Array.from({ length: rows * columns }, () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return (state / 2 ** 32 - 0.5) * 10 ** ((state % 7) - 3);
    }),
  );
}

async function segmentOf(edits: number, seed: number): Promise<HookSegment> {
  const storage = segmentStorage(dInner, dModel);
  const layers = await Promise.all(
    settings.layers.map(async (layer) => {
      const keys = random(dInner, edits, seed + layer);
      const residuals = random(dModel, edits, seed + 10 * layer);
      const { segment } = await appendRound(empty, keys, residuals, identity(dInner), engine, storage);
      return { layer, round: segment, thresholds: new Array<number>(edits).fill(0.5), sequenceThreshold: 2 };
    }),
  );
  return { removedIds: [], addedIds: Array.from({ length: edits }, (_, e) => `e${e}`), layers };
}

/** Consecutive rounds, what each ships, and the memory of their writer and of a reader. */
async function consecutive(
  size: { dInner: number; dModel: number },
  keysOf: (round: number) => Matrix,
  rounds: number,
  products: GemmEngine = engine,
) {
  const storage = segmentStorage(size.dInner, size.dModel);
  const metric = identity(size.dInner);
  let memory = emptyMemory(size.dInner, size.dModel, 0.02 * size.dInner);
  let replayed = memory;
  const files: Uint8Array[] = [];
  for (let r = 0; r < rounds; r++) {
    const keys = keysOf(r);
    const residuals = gaussian(size.dModel, keys.columns, 1000 + r);
    const { segment, memory: next } = await appendRound(memory, keys, residuals, metric, products, storage);
    const hooks = {
      removedIds: [],
      addedIds: Array.from({ length: keys.columns }, (_, e) => `round-${r}-${e}`),
      layers: [
        { layer: 2, round: segment, thresholds: new Array<number>(keys.columns).fill(0.5), sequenceThreshold: 2 },
      ],
    };
    files.push(encodeHookFile({ segment: hooks, sketches: [] }));
    memory = next;
    const { round } = decodeHookFile(files[r], 'hooks').segment.layers[0];
    replayed = await replayRound(replayed, round, products);
  }
  return { files, memory, replayed };
}

/** Keys of one round, with a part that all keys of all rounds have in common. */
function relatedKeys(rows: number, round: number, edits = 10): Matrix {
  const common = gaussian(rows, 1, 7).data;
  const own = gaussian(rows, edits, 100 + round);
  return matrix(
    rows,
    edits,
    own.data.map((value, i) => value + 0.15 * common[Math.floor(i / edits)]),
  );
}

/** That all numbers of two memories are equal, without the matcher that walks through half a million of them. */
function expectSame(a: EditMemory, b: EditMemory): void {
  for (const part of ['whitenedKeys', 'targets', 'gram', 'coefficients', 'factor'] as const) {
    expect(a[part].data.every((value, i) => value === b[part].data[i]) && a[part].rows === b[part].rows).toBe(true);
  }
}

const crossDtype = (file: Uint8Array) => decodeSafetensors(file, 'hooks').tensors.get('2.cross')!.dtype;

describe('a hook file', () => {
  it('of the thirtieth round of ten is at most 15 percent larger than that of the first, at the size of SmolLM2-135M', async () => {
    const size = { dInner: 1536, dModel: 576 };
    // What a round ships depends on how many edits are before it, not on how many rounds they came in.
    const edits = [10, 280, 10];
    const products = new OnnxGemmEngine();
    const keysOf = (round: number) => relatedKeys(size.dInner, round, edits[round]);
    const { files, memory, replayed } = await consecutive(size, keysOf, 3, products);
    await products.dispose();
    expect(memory.gram.rows).toBe(300);
    expect(files[2].length / files[0].length).toBeLessThanOrEqual(1.15);
    expect(files.map(crossDtype)).toEqual(['int8', 'int8', 'int8']);
    expectSame(replayed, memory);
  });

  it('leaves later rounds a gram that keys have, where keys come again under a moment of hardly full rank', async () => {
    const [width, edits, subjects] = [64, 5, 6];
    const spectrum = spectrumRoot(width, 1e6, 3);
    const text = multiply(spectrum, gaussian(width, 75, 5));
    const moment = multiply(text, text, { transB: true, alpha: 1 / 75 });
    const factor = await inverseFactor(moment, engine);
    const known = multiply(spectrum, gaussian(width, subjects, 9));
    let memory = emptyMemory(width, 16, 0.02 * width);
    for (let r = 0; r < 25; r++) {
      const other = multiply(spectrum, gaussian(width, edits, 100 + r));
      const subjectOf = (i: number) => Math.floor(i / edits) * subjects + (((i % edits) + r) % subjects);
      const keys = matrix(
        width,
        edits,
        other.data.map((value, i) => known.data[subjectOf(i)] + 0.05 * value),
      );
      const storage = segmentStorage(width, 16);
      ({ memory } = await appendRound(memory, keys, gaussian(16, edits, 500 + r), factor, engine, storage));
    }
    expect(memory.gram.rows).toBe(25 * edits);
  });

  it('holds float32 gram rows where keys of an earlier round are written again, and replays to the same numbers', async () => {
    const size = { dInner: 96, dModel: 16 };
    const again = (r: number) => relatedKeys(size.dInner, r === 3 ? 1 : r);
    const { files, memory, replayed } = await consecutive(size, again, 5);
    expect(files.map(crossDtype)).toEqual(['int8', 'int8', 'int8', 'float32', 'int8']);
    expectSame(replayed, memory);
  });

  it('of format version 1 is still read: the gram rows up to the diagonal in one tensor', async () => {
    const size = { dInner: 96, dModel: 16 };
    const { files } = await consecutive(size, (r) => relatedKeys(size.dInner, r), 2);
    const [{ metadata, tensors }, { segment }] = [
      decodeSafetensors(files[1], 'hooks'),
      decodeHookFile(files[1], 'hooks'),
    ];
    const { gramRows } = segment.layers[0].round;
    const lower = Array.from({ length: 10 }, (_, r) => Array.from(gramRows.data.slice(r * 20, r * 20 + 11 + r))).flat();
    const old = new Map(tensors);
    for (const name of tensors.keys()) if (name.startsWith('2.cross')) old.delete(name);
    old.set('2.gram', tensor('float32', [lower.length], Float32Array.from(lower)));
    const bytes = encodeSafetensors(old, { ...metadata, formatVersion: '1' });
    expect(decodeHookFile(bytes, 'hooks').segment).toEqual(segment);
    expect(() => decodeHookFile(encodeSafetensors(old, { ...metadata, formatVersion: '3' }), 'hooks')).toThrow(
      'version',
    );
  });

  it('refuses gram rows whose peaks are not as many as their places', async () => {
    const size = { dInner: 96, dModel: 16 };
    const { files } = await consecutive(size, (r) => relatedKeys(size.dInner, r), 2);
    const { metadata, tensors } = decodeSafetensors(files[1], 'hooks');
    const wrong = new Map(tensors).set('2.crossPeaks', tensor('float32', [1], Float32Array.of(1)));
    expect(() => decodeHookFile(encodeSafetensors(wrong, metadata), 'hooks')).toThrow('peaks');
  });

  it('rounds numbers of any sizes to numbers that round to themselves', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 150 }), fc.integer({ min: 0, max: 1e6 }), (columns, seed) => {
        const rows = gaussian(3, columns, seed);
        const spread = matrix(
          3,
          columns,
          rows.data.map((value, i) => value * 10 ** (((seed + Math.floor(i / 64)) % 13) - 9)),
        );
        const rounded = roundSketch(spread);
        expect(roundSketch(rounded).data).toEqual(rounded.data);
        for (const coarse of segmentStorage(columns, 1).coarseCross) {
          const once = coarse(spread);
          expect(coarse(once).data).toEqual(once.data);
        }
      }),
      { numRuns: 100, seed: 1 },
    );
  });

  it('decodes to the very numbers that its round was solved for', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 1e6 }), async (edits, seed) => {
        const segment = await segmentOf(edits, seed);
        const { segment: decoded } = decodeHookFile(encodeHookFile({ segment, sketches: [] }), 'hooks');
        expect(decoded).toEqual(segment);
      }),
      { numRuns: 50, seed: 1 },
    );
  });

  it('carries the sketch to within half a step of eight bits', () => {
    const sketch = random(4, dInner, 7);
    const rounded = roundSketch(sketch);
    for (let row = 0; row < 4; row++) {
      const of = (a: Matrix) => a.data.subarray(row * dInner, (row + 1) * dInner);
      expect(of(rounded)).toBeAllclose(of(sketch), { relative: 0.51 / 127 });
    }
    expect(roundSketch(rounded).data).toEqual(rounded.data);
  });

  it('replays to a state that names its edits and forgets the removed ones', async () => {
    const first = await replaySegments(emptyState(config, settings), [await segmentOf(3, 5)], engine);
    expect(first.rowIds).toEqual(['e0', 'e1', 'e2']);
    const second = await segmentOf(1, 9);
    const wide = second.layers.map((layer) => ({
      ...layer,
      round: { ...layer.round, gramRows: random(1, 3, 2) },
    }));
    await expect(replaySegments(first, [{ ...second, layers: wide }], engine)).rejects.toThrow('gram rows');
    const replacing = {
      ...second,
      addedIds: ['n0'],
      removedIds: ['e1'],
      layers: wide.map((layer) => ({
        ...layer,
        round: { ...layer.round, gramRows: matrix(1, 3, Float64Array.of(0, 0, 4)) },
      })),
    };
    const afterRemoval = await replaySegments(first, [replacing], engine);
    expect(afterRemoval.rowIds).toEqual(['e0', 'e2', 'n0']);
    expect(afterRemoval.layers[0].thresholds).toHaveLength(3);
  });

  it('refuses bytes that are not a segment, and says what is missing', () => {
    expect(() => decodeHookFile(new Uint8Array(3), 'hooks.safetensors')).toThrow(MalformedFileError);
  });
});

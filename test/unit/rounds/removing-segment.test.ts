import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  decodeHookFile,
  type EditState,
  emptyState,
  encodeHookFile,
  replaySegments,
  resolveHyperparameters,
} from '../../../src/editing/index.js';
import { InvalidInputError } from '../../../src/errors.js';
import { matrix, PlainGemmEngine, transpose } from '../../../src/linalg/index.js';
import type { ModelConfig } from '../../../src/model/index.js';
import { MemoryObjectStore } from '../../../src/registry/memory-object-store.js';
import { removingSegment } from '../../../src/rounds/removing-segment.js';
import { loadVersionHooks } from '../../../src/serving/index.js';
import { eliminate } from '../../support/dense-update.js';
import { type HookedModel, publishRounds } from '../../support/published-version.js';

const config = { layers: 4, dInner: 16, dModel: 8 } as ModelConfig;
const settings = resolveHyperparameters({ layers: [1, 3], momentWeight: 0.05 }, config);
const model: HookedModel = { config, settings, modelDigest: 'a'.repeat(64) };

const engine = new PlainGemmEngine();
let state: EditState;
beforeAll(async () => {
  const store = new MemoryObjectStore();
  await publishRounds(store, 'm', model, [
    { addedIds: ['a', 'b', 'c', 'd'] },
    { addedIds: ['e', 'f', 'g'], removedIds: ['b'] },
    { addedIds: ['h'] },
  ]);
  state = (await loadVersionHooks(store, 'm')).state;
});

/** `A = V (lambda I + gram)⁻¹` of the kept rows, by one elimination. */
function denseCoefficients({ memory }: EditState['layers'][number], kept: readonly number[]): Float64Array {
  const { gram, targets, momentWeight } = memory;
  const system = kept.flatMap((i) => kept.map((j) => gram.data[i * gram.rows + j] + (i === j ? momentWeight : 0)));
  const wanted = kept.flatMap((e) => Array.from(transpose(targets).data.subarray(e * 8, (e + 1) * 8)));
  const solved = eliminate(
    matrix(kept.length, kept.length, Float64Array.from(system)),
    matrix(kept.length, 8, Float64Array.from(wanted)),
  );
  return transpose(solved).data;
}

describe('a segment that takes edits back', () => {
  it('leaves what a dense solve of the kept keys and targets gives, whichever edits go', async () => {
    await fc.assert(
      fc.asyncProperty(fc.subarray(['a', 'c', 'd', 'e', 'f', 'g', 'h'], { minLength: 1 }), async (removedIds) => {
        const rest = await replaySegments(state, [removingSegment(state, removedIds)], engine);
        const kept = [...state.rowIds.keys()].filter((index) => !removedIds.includes(state.rowIds[index]));
        expect(rest.rowIds).toEqual(kept.map((index) => state.rowIds[index]));
        rest.layers.forEach((layer, l) => {
          const { whitenedKeys } = state.layers[l].memory;
          const rows = kept.flatMap((e) => Array.from(whitenedKeys.data.subarray(e * 16, (e + 1) * 16)));
          expect(Array.from(layer.memory.whitenedKeys.data)).toEqual(rows);
          expect(layer.thresholds).toEqual(kept.map((e) => state.layers[l].thresholds[e]));
          expect(layer.memory.coefficients.data).toBeAllclose(denseCoefficients(state.layers[l], kept), {
            relative: 1e-10,
          });
        });
      }),
      { numRuns: 50 },
    );
  });

  it('is the same after its file: consumers get the bits of the publisher', async () => {
    for (const removedIds of [['c'], ['h', 'a'], state.rowIds]) {
      const segment = removingSegment(state, removedIds);
      const bytes = encodeHookFile({ segment, sketches: [] });
      const { segment: read, sketches } = decodeHookFile(bytes, 'segment');
      expect(read).toEqual(segment);
      expect(sketches).toEqual([]);
      const [theirs, ours] = [[read], [segment]].map((segments) => replaySegments(state, segments, engine));
      expect(await theirs).toEqual(await ours);
      expect(bytes.length).toBeLessThan(4096);
    }
  });

  it('of all edits leaves an empty state, on which another round can stand', async () => {
    const empty = await replaySegments(state, [removingSegment(state, state.rowIds)], engine);
    const start = emptyState(config, settings);
    expect(empty.rowIds).toEqual([]);
    expect(empty.layers.map(({ memory }) => memory)).toEqual(start.layers.map(({ memory }) => memory));
  });

  it('takes all edits of an id, and none that is not there', async () => {
    const twice: EditState = { ...state, rowIds: state.rowIds.map((id) => (id === 'h' ? 'a' : id)) };
    const rest = await replaySegments(twice, [removingSegment(twice, ['a'])], engine);
    expect(rest.rowIds).toEqual(['c', 'd', 'e', 'f', 'g']);
    expect(rest.layers[0].memory.gram.rows).toBe(5);
    await expect(replaySegments(state, [removingSegment(state, ['b'])], engine)).rejects.toThrow(InvalidInputError);
  });
});

import { beforeAll, describe, expect, it } from 'vitest';
import { withoutEdits } from '../../../src/editing/edit-state.js';
import {
  type EditState,
  emptyState,
  type HookSegment,
  hooksOf,
  type KeyStatistics,
  replaySegments,
  resolveHyperparameters,
} from '../../../src/editing/index.js';
import { InvalidInputError } from '../../../src/errors.js';
import { appendRound, inverseFactor, matrix, PlainGemmEngine } from '../../../src/linalg/index.js';
import type { ModelConfig } from '../../../src/model/index.js';
import { naiveProduct } from '../../support/dense-update.js';
import { tolerances } from '../../support/matchers.js';
import { gaussian, illConditioned } from '../../support/random-matrix.js';
import { expectSameState } from '../../support/same-state.js';

const dInner = 10;
const dModel = 5;
const layers = [1, 3];
const config = { layers: 4, dInner, dModel } as ModelConfig;
const settings = resolveHyperparameters({ layers, momentWeight: 0.2, sequenceThreshold: 1.9 }, config);
const engine = new PlainGemmEngine();
const empty = emptyState(config, settings);

const keysOf = (layer: number, round: number, edits: number) => gaussian(dInner, edits, 100 * layer + round);
let statistics: KeyStatistics[];

/** A round on top of a state, with thresholds that tell its edits apart. */
async function segmentOn(state: EditState, round: number, addedIds: readonly string[]): Promise<HookSegment> {
  const written = state.layers.map(async ({ layer, memory }, i) => {
    const keys = keysOf(layer, round, addedIds.length);
    const residuals = gaussian(dModel, addedIds.length, 7 * layer + round);
    const { segment } = await appendRound(memory, keys, residuals, statistics[i].inverseFactor, engine);
    const thresholds = addedIds.map((_, e) => (10 * round + e) / 100);
    return { layer, round: segment, thresholds, sequenceThreshold: 1.9 - round / 10 };
  });
  return { removedIds: [], addedIds, layers: await Promise.all(written) };
}

let first: HookSegment;
let second: HookSegment;
let state: EditState;
beforeAll(async () => {
  statistics = await Promise.all(
    layers.map(async (layer) => {
      const factor = await inverseFactor(illConditioned(dInner, 30, layer), engine);
      return { layer, inverseFactor: factor, sketch: gaussian(3, dInner, layer) };
    }),
  );
  first = await segmentOn(empty, 1, ['a', 'b', 'c']);
  const once = await replaySegments(empty, [first], engine);
  second = await segmentOn(once, 2, ['d']);
  state = await replaySegments(once, [second], engine);
});

describe('an edit state', () => {
  it('begins without edits, with the moment weight relative to dInner', () => {
    expect(empty.rowIds).toEqual([]);
    for (const { layer, memory, thresholds, sequenceThreshold } of empty.layers) {
      expect(layers).toContain(layer);
      expect(memory.momentWeight).toBeCloseTo(0.2 * dInner, 12);
      expect({ thresholds, sequenceThreshold }).toEqual({ thresholds: [], sequenceThreshold: 1.9 });
    }
  });

  it('has the edits, thresholds and gate of its segments in their order, and leaves earlier states as they were', () => {
    expect(state.rowIds).toEqual(['a', 'b', 'c', 'd']);
    for (const { thresholds, sequenceThreshold } of state.layers) {
      expect(thresholds).toEqual([0.1, 0.11, 0.12, 0.2]);
      expect(sequenceThreshold).toBe(1.7);
    }
    expect(empty.rowIds).toEqual([]);
    expect(empty.layers.every(({ memory }) => memory.gram.rows === 0)).toBe(true);
  });

  it('is the same of all segments at once as of one after the other', async () => {
    const third = { ...(await segmentOn(await withoutEdits(state, ['b', 'd'], engine), 3, ['e', 'f'])) };
    const segments = [first, second, { ...third, removedIds: ['b', 'd'] }];
    const last = await replaySegments(state, segments.slice(2), engine);
    expect(last.rowIds).toEqual(['a', 'c', 'e', 'f']);
    expectSameState(await replaySegments(empty, segments, engine), last);
    expect(await replaySegments(state, [], engine)).toBe(state);
  });

  it('forgets edits by their ids, with their keys, targets and thresholds', async () => {
    const rest = await withoutEdits(state, ['c', 'a'], engine);
    expect(rest.rowIds).toEqual(['b', 'd']);
    rest.layers.forEach(({ memory, thresholds }, i) => {
      expect(thresholds).toEqual([0.11, 0.2]);
      const all = state.layers[i].memory;
      const rows = [1, 3].flatMap((e) => Array.from(all.whitenedKeys.data.slice(e * dInner, (e + 1) * dInner)));
      expect(Array.from(memory.whitenedKeys.data)).toEqual(rows);
      const targets = Array.from({ length: dModel }, (_, m) => [1, 3].map((e) => all.targets.data[m * 4 + e]));
      expect(Array.from(memory.targets.data)).toEqual(targets.flat());
    });
    expect(state.rowIds).toHaveLength(4);
  });

  it('is as if they had never been written when it forgets a whole last round', async () => {
    const once = await replaySegments(empty, [first], engine);
    (await withoutEdits(state, ['d'], engine)).layers.forEach(({ memory }, i) => {
      expect(memory.coefficients.data).toBeAllclose(once.layers[i].memory.coefficients.data, tolerances.float64);
    });
    const none = await withoutEdits(state, ['a', 'b', 'c', 'd'], engine);
    expect(none.layers[0].memory.coefficients.columns).toBe(0);
  });

  it('takes back what a segment removes before it adds', async () => {
    const replacing = { ...(await segmentOn(await withoutEdits(state, ['b'], engine), 3, ['e'])), removedIds: ['b'] };
    const replaced = await replaySegments(state, [replacing], engine);
    expect(replaced.rowIds).toEqual(['a', 'c', 'd', 'e']);
    expect(replaced.layers[1].thresholds).toEqual([0.1, 0.12, 0.2, 0.3]);
  });

  it('refuses to forget what it does not hold, and a segment without one of its layers', async () => {
    const unknown = () => withoutEdits(state, ['a', 'nobody'], engine);
    await expect(unknown).rejects.toThrow(InvalidInputError);
    await expect(unknown).rejects.toThrow('edit to remove: the id of an active edit, got nobody');
    const partial = { ...first, layers: first.layers.slice(0, 1) };
    await expect(replaySegments(empty, [partial], engine)).rejects.toThrow('hook segment: layer 3, got none');
  });
});

describe('the hooks of a state', () => {
  it('are its keys, values and thresholds in float32, with the whitened norms of the keys', () => {
    const hooks = hooksOf(state, statistics);
    expect(hooks.map(({ layer }) => layer)).toEqual(layers);
    hooks.forEach((hook, i) => {
      const { memory } = state.layers[i];
      expect(hook.coefficients).toEqual(Float32Array.from(memory.coefficients.data));
      expect(hook.thresholds).toEqual(Float32Array.of(0.1, 0.11, 0.12, 0.2));
      expect(hook.sketch).toEqual(Float32Array.from(statistics[i].sketch.data));
      const keys = [keysOf(hook.layer, 1, 3), keysOf(hook.layer, 2, 1)].flatMap((round) =>
        Array.from({ length: round.columns }, (_, e) =>
          matrix(
            dInner,
            1,
            Float64Array.from({ length: dInner }, (_, k) => round.data[k * round.columns + e]),
          ),
        ),
      );
      const norms = keys.map((key) => Math.hypot(...naiveProduct(statistics[i].inverseFactor, key).data));
      expect(hook.keyNorms).toBeAllclose(norms, tolerances.activations);
    });
  });

  it('need the statistics of every layer', () => {
    expect(() => hooksOf(state, statistics.slice(1))).toThrow('key statistics: of layer 1, got none');
  });
});

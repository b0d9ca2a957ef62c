import { InvalidInputError } from '../errors.js';
import {
  type EditMemory,
  emptyMemory,
  type FactorOrigin,
  type GemmEngine,
  type Matrix,
  type RoundSegment,
  removeEdits,
  replayRounds,
  withoutIndices,
} from '../linalg/index.js';
import type { ModelConfig } from '../model/index.js';
import type { HookLayer } from './hook.js';
import type { Hyperparameters } from './hyperparameters.js';

/** Key statistics: the covariance `C0` of a layer's keys on ordinary text, computed once per model. */
export interface KeyStatistics {
  readonly layer: number;
  /** `F = L⁻¹` with `C0 = L Lᵀ`: float64 [dInner, dInner]. */
  readonly inverseFactor: Matrix;
  /** Q with `|Q k|² ~ kᵀ C0⁻¹ k`: [sketchRank, dInner]. */
  readonly sketch: Matrix;
  /** Who made the factor; absent in older statistics. */
  readonly origin?: FactorOrigin;
}

/** The part of a layer's statistics that the key gate needs, and that a first segment ships. */
export type LayerSketch = Pick<KeyStatistics, 'layer' | 'sketch'>;

/** The edits of one layer. */
export interface LayerState {
  readonly layer: number;
  readonly memory: EditMemory;
  /** tau of each edit. */
  readonly thresholds: readonly number[];
  /** alpha of the sequence gate. */
  readonly sequenceThreshold: number;
}

/** All edits on top of a base model, immutable: every round gives a new state. */
export interface EditState {
  /** The memory of each row: all rows of a subject bear one id. */
  readonly rowIds: readonly string[];
  readonly layers: readonly LayerState[];
}

/** What one round adds. Published versions consist of segments, and replaying them gives the state. */
export interface HookSegment {
  /** Memories of earlier segments whose rows this round removes before it writes. */
  readonly removedIds: readonly string[];
  /** The memory of each added row. */
  readonly addedIds: readonly string[];
  readonly layers: readonly LayerSegment[];
}

/** One layer's part of a {@link HookSegment}. */
export interface LayerSegment {
  readonly layer: number;
  readonly round: RoundSegment;
  /** tau of each added edit. */
  readonly thresholds: readonly number[];
  /** alpha after the round. */
  readonly sequenceThreshold: number;
}

/** The state before the first round; `lambda = momentWeight * dInner`. */
export function emptyState(
  config: Pick<ModelConfig, 'dInner' | 'dModel'>,
  settings: Pick<Hyperparameters, 'layers' | 'momentWeight' | 'sequenceThreshold'>,
): EditState {
  return {
    rowIds: [],
    layers: settings.layers.map((layer) => ({
      layer,
      memory: emptyMemory(config.dInner, config.dModel, settings.momentWeight * config.dInner),
      thresholds: [],
      sequenceThreshold: settings.sequenceThreshold,
    })),
  };
}

/**
 * The state without these edits, as if they had never been written. All edits with one of these ids are removed.
 *
 * @throws {InvalidInputError} if an id is not in the state
 */
export async function withoutEdits(state: EditState, ids: readonly string[], engine: GemmEngine): Promise<EditState> {
  if (ids.length === 0) return state;
  const indices = indicesOf(state.rowIds, ids);
  const layers: LayerState[] = [];
  for (const layer of state.layers) {
    const memory = await removeEdits(layer.memory, indices, engine);
    layers.push({ ...layer, memory, thresholds: withoutIndices(layer.thresholds, indices) });
  }
  return { rowIds: withoutIndices(state.rowIds, indices), layers };
}

/**
 * The state after these segments, in one solve a layer.
 *
 * @throws {InvalidInputError} if they do not continue the state
 */
export async function replaySegments(
  before: EditState,
  segments: readonly HookSegment[],
  engine: GemmEngine,
): Promise<EditState> {
  if (segments.length === 0) return before;
  let { rowIds } = before;
  const removals = segments.map(({ removedIds, addedIds }) => {
    const removed = indicesOf(rowIds, removedIds);
    rowIds = [...withoutIndices(rowIds, removed), ...addedIds];
    return removed;
  });
  const layers: LayerState[] = [];
  for (const state of before.layers) {
    const added = segments.map((segment) => layerOf(segment, state.layer));
    const rounds = added.map(({ round }, i) => ({ removed: removals[i], segment: round }));
    layers.push({
      layer: state.layer,
      memory: await replayRounds(state.memory, rounds, engine),
      thresholds: added.reduce(
        (earlier, { thresholds }, i) => [...withoutIndices(earlier, removals[i]), ...thresholds],
        state.thresholds,
      ),
      sequenceThreshold: added[added.length - 1].sequenceThreshold,
    });
  }
  return { rowIds, layers };
}

function layerOf(segment: HookSegment, layer: number): LayerSegment {
  const found = segment.layers.find((candidate) => candidate.layer === layer);
  if (found === undefined) throw new InvalidInputError('hook segment', `layer ${layer}`, 'none');
  return found;
}

/** @throws {InvalidInputError} if no active edit has one of the ids */
function indicesOf(rowIds: readonly string[], ids: readonly string[]): number[] {
  const wanted = new Set(ids);
  const indices = [...rowIds.keys()].filter((index) => wanted.has(rowIds[index]));
  const found = new Set(indices.map((index) => rowIds[index]));
  for (const id of ids) {
    if (!found.has(id)) throw new InvalidInputError('edit to remove', 'the id of an active edit', id);
  }
  return indices;
}

/** The hooks of a state as the forward pass takes them, float32. */
export function hooksOf(state: EditState, statistics: readonly LayerSketch[]): HookLayer[] {
  return state.layers.map((layer) => hookOf(layer, statisticsOf(statistics, layer.layer).sketch));
}

/** One layer's hook. */
export function hookOf({ layer, memory, thresholds, sequenceThreshold }: LayerState, sketch: Matrix): HookLayer {
  const edits = memory.gram.rows;
  const squares = Float64Array.from({ length: edits }, (_, e) => memory.gram.data[e * edits + e]);
  return {
    layer,
    dInner: memory.dInner,
    whitenedKeys: Float32Array.from(memory.whitenedKeys.data),
    coefficients: Float32Array.from(memory.coefficients.data),
    ownCoefficients: Float32Array.from(memory.targets.data, (target, i) => target / squares[i % edits]),
    keyNorms: Float32Array.from(squares, Math.sqrt),
    thresholds: Float32Array.from(thresholds),
    sketch: Float32Array.from(sketch.data),
    sequenceThreshold,
  };
}

/** @throws {InvalidInputError} if there are none for the layer */
export function statisticsOf<S extends { readonly layer: number }>(statistics: readonly S[], layer: number): S {
  const found = statistics.find((candidate) => candidate.layer === layer);
  if (found === undefined) throw new InvalidInputError('key statistics', `of layer ${layer}`, 'none');
  return found;
}

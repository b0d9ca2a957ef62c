import { appendRound, type GemmEngine, type Matrix, matrix, type RoundStorage } from '../linalg/index.js';
import {
  type EditState,
  type HookSegment,
  hooksOf,
  type KeyStatistics,
  type LayerSegment,
  type LayerState,
  statisticsOf,
  withoutEdits,
} from './edit-state.js';
import type { Hyperparameters } from './hyperparameters.js';
import type { KeyCollection } from './key-collection.js';
import type { TokenizedEdit } from './prompts.js';

/** What a round needs beside state and edits. */
export interface RoundContext {
  readonly settings: Hyperparameters;
  readonly collection: KeyCollection;
  readonly statistics: readonly KeyStatistics[];
  readonly engine: GemmEngine;
  /** Rows of one forward pass. */
  readonly rowsPerBatch: number;
  /** How segments are stored. The state is solved for the stored numbers. */
  readonly storage?: RoundStorage;
}

/** A written round. */
export interface RoundResult {
  readonly state: EditState;
  readonly segment: HookSegment;
  /** Share of each edit's residual that was written, by layer: [layers][edits]. */
  readonly writtenShare: readonly Float64Array[];
}

/**
 * Writes one round of edits (arXiv 2403.05330, algorithm 1), layer by layer, ascending. For each layer, keys and block
 * outputs are read again: hooks already written in this round are gated, the others are open with the weights of the
 * previous version. Then the layer takes its share of what is still missing.
 *
 *     R_l = (Z* - Z) / (hooked layers from l to L),   dW_l += R_l K_lᵀ (C_l + K_l K_lᵀ)⁻¹
 *
 * @param targets Z*: float64 [dModel, edits]
 * @param removedIds earlier edits that this batch overwrites
 */
export async function writeRound(
  context: RoundContext,
  before: EditState,
  edits: readonly TokenizedEdit[],
  targets: Matrix,
  removedIds: readonly string[] = [],
): Promise<RoundResult> {
  const { settings, collection, statistics, engine, rowsPerBatch } = context;
  let state = await withoutEdits(before, removedIds, engine);
  const rounds: LayerSegment[] = [];
  const writtenShare: Float64Array[] = [];
  for (const [position, layer] of settings.layers.entries()) {
    const hooks = hooksOf(state, statistics);
    const mode = (hooked: number) => (hooked < layer ? 'gated' : 'open');
    const { keys, hidden } = await collection.collect(edits, hooks, rowsPerBatch, mode);
    const residuals = scaledDifference(targets, hidden, 1 / (settings.layers.length - position));
    const current = state.layers[position];
    const { inverseFactor } = statisticsOf(statistics, layer);
    const written = await appendRound(
      current.memory,
      keys.get(layer)!,
      residuals,
      inverseFactor,
      engine,
      context.storage,
    );
    const thresholds = edits.map(() => Math.fround(settings.similarityThreshold));
    const { sequenceThreshold } = current;
    rounds.push({ layer, round: written.segment, thresholds, sequenceThreshold });
    writtenShare.push(written.writtenShare);
    state = withLayer(state, position, {
      ...current,
      memory: written.memory,
      thresholds: [...current.thresholds, ...thresholds],
    });
  }
  const addedIds = edits.map((edit) => edit.id);
  const alphas = await sequenceThresholds(context, state, edits);
  return {
    state: {
      editIds: [...state.editIds, ...addedIds],
      layers: state.layers.map((layer, i) => ({ ...layer, sequenceThreshold: alphas[i] })),
    },
    segment: {
      removedIds,
      addedIds,
      layers: rounds.map((layer, i) => ({ ...layer, sequenceThreshold: alphas[i] })),
    },
    writtenShare,
  };
}

/**
 * The threshold update of the sequence gate, per layer:
 * `alpha = min(alpha, min over the batch's prompts of max_i z_i)`, with the round's weights on the base model's keys.
 */
async function sequenceThresholds(
  { settings, collection, statistics, rowsPerBatch }: RoundContext,
  state: EditState,
  edits: readonly TokenizedEdit[],
): Promise<number[]> {
  const alphas = state.layers.map((layer) => layer.sequenceThreshold);
  if (settings.gate !== 'sequence') return alphas;
  const prompts = edits.map((edit) => edit.prompts[0]);
  const strongest = await collection.strongest(prompts, hooksOf(state, statistics), rowsPerBatch, () => 'closed');
  return state.layers.map(({ layer }, i) => Math.min(alphas[i], ...strongest.get(layer)!));
}

function withLayer(state: EditState, position: number, layer: LayerState): EditState {
  return { ...state, layers: state.layers.map((other, i) => (i === position ? layer : other)) };
}

function scaledDifference(a: Matrix, b: Matrix, scale: number): Matrix {
  return matrix(
    a.rows,
    a.columns,
    a.data.map((value, i) => (value - b.data[i]) * scale),
  );
}

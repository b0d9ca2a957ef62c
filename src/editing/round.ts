import { NotPositiveDefiniteError, UnwritableEditsError } from '../errors.js';
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
 * @throws {UnwritableEditsError} naming edits whose keys, outputs or targets are no numbers or whose key is zero, or the
 *   first one with which the gram matrix is not positive definite
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
    requireWritable(edits, keys.get(layer)!, residuals, layer);
    const current = state.layers[position];
    const { inverseFactor } = statisticsOf(statistics, layer);
    const previous = state.editIds.length;
    const written = await appendRound(
      current.memory,
      keys.get(layer)!,
      residuals,
      inverseFactor,
      engine,
      context.storage,
    ).catch((error: unknown) => {
      throw ofOneEdit(error, edits, previous);
    });
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

/** One edit's number that is none would spoil every other edit's in the products that follow. */
function requireWritable(edits: readonly TokenizedEdit[], keys: Matrix, residuals: Matrix, layer: number): void {
  const unwritable = edits.flatMap(({ id }, e) => {
    const key = squareOfColumn(keys, e);
    if (!(key > 0 && Number.isFinite(key))) {
      return [{ id, reason: `key in layer ${layer}: a norm above zero, got ${Math.sqrt(key)}` }];
    }
    const residual = squareOfColumn(residuals, e);
    if (Number.isFinite(residual)) return [];
    return [{ id, reason: `residual in layer ${layer}: a finite norm, got ${Math.sqrt(residual)}` }];
  });
  if (unwritable.length > 0) throw new UnwritableEditsError(unwritable);
}

function squareOfColumn({ rows, columns, data }: Matrix, column: number): number {
  let sum = 0;
  for (let r = 0; r < rows; r++) sum += data[r * columns + column] ** 2;
  return sum;
}

/** A gram matrix that fails at a new edit's row fails because of that edit. */
function ofOneEdit(error: unknown, edits: readonly TokenizedEdit[], previous: number): unknown {
  const isOfEdit = error instanceof NotPositiveDefiniteError && error.pivotIndex >= previous;
  return isOfEdit
    ? new UnwritableEditsError([{ id: edits[error.pivotIndex - previous].id, reason: error.message }])
    : error;
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

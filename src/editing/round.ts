import { NotPositiveDefiniteError, UnwritableEditsError } from '../errors.js';
import { appendRound, type GemmEngine, type Matrix, matrix, type RoundStorage, responsesAt } from '../linalg/index.js';
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
import { type Hyperparameters, isAnsweredAlone } from './hyperparameters.js';
import type { KeyCollection, KeyText } from './key-collection.js';
import type { KeyRow } from './key-rows.js';

/** What a round needs beside state and rows. */
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
  /** Share of each row's residual that was written, by layer: [layers][rows]. */
  readonly writtenShare: readonly Float64Array[];
}

/** What a round writes. */
export interface RoundRows {
  readonly rows: readonly KeyRow[];
  /** Z*: what each row's first text should put out, float64 [dModel, rows]. */
  readonly targets: Matrix;
  /** The bare prompt of each fact; the sequence gate's threshold depends on them. */
  readonly prompts: readonly KeyText[];
}

/**
 * Writes one round of rows (arXiv 2403.05330, algorithm 1), layer by layer, ascending. For each layer, keys and block
 * outputs are read again: hooks already written in this round are gated, the others are open with the weights of the
 * previous version. Then the layer takes its share of what is still missing.
 *
 *     R_l = (Z* - Z) / (hooked layers from l to L),   dW_l += R_l K_lᵀ (C_l + K_l K_lᵀ)⁻¹
 *
 * Behind a gate that a row answers alone, what others write at its key is not heard. So there the hooks that this round has
 * yet to write are closed, and a row asks for that share whole, `V_l = R_l`: in a single layer its value, whatever the rounds before.
 *
 * @param removedIds memories of earlier rounds that this round replaces
 * @throws {UnwritableEditsError} naming memories whose keys, outputs or targets are no numbers or whose key is zero, or the
 *   first one with which the gram matrix is not positive definite
 */
export async function writeRound(
  context: RoundContext,
  before: EditState,
  { rows, targets, prompts }: RoundRows,
  removedIds: readonly string[] = [],
): Promise<RoundResult> {
  const { settings, collection, statistics, engine, rowsPerBatch } = context;
  const isAlone = isAnsweredAlone(settings.gate);
  let state = await withoutEdits(before, removedIds, engine);
  const rounds: LayerSegment[] = [];
  const writtenShare: Float64Array[] = [];
  for (const [position, layer] of settings.layers.entries()) {
    const hooks = hooksOf(state, statistics);
    const mode = (hooked: number) => (hooked < layer ? 'gated' : isAlone ? 'closed' : 'open');
    const { keys, hidden } = await collection.collect(rows, hooks, rowsPerBatch, mode);
    const missing = difference(targets, hidden, 1 / (settings.layers.length - position));
    const current = state.layers[position];
    const residuals = isAlone
      ? difference(missing, await responsesAt(current.memory, keys.get(layer)!, engine))
      : missing;
    requireWritable(rows, keys.get(layer)!, residuals, layer);
    const { inverseFactor } = statisticsOf(statistics, layer);
    const previous = state.rowIds.length;
    const written = await appendRound(
      current.memory,
      keys.get(layer)!,
      residuals,
      inverseFactor,
      engine,
      context.storage,
    ).catch((error: unknown) => {
      throw ofOneRow(error, rows, previous);
    });
    const thresholds = rows.map(({ threshold }) => Math.fround(threshold));
    const { sequenceThreshold } = current;
    rounds.push({ layer, round: written.segment, thresholds, sequenceThreshold });
    writtenShare.push(written.writtenShare);
    state = withLayer(state, position, {
      ...current,
      memory: written.memory,
      thresholds: [...current.thresholds, ...thresholds],
    });
  }
  const addedIds = rows.map(({ id }) => id);
  const alphas = await sequenceThresholds(context, state, prompts);
  return {
    state: {
      rowIds: [...state.rowIds, ...addedIds],
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

/** One row's number that is none would spoil every other row's in the products that follow. */
function requireWritable(rows: readonly KeyRow[], keys: Matrix, residuals: Matrix, layer: number): void {
  const unwritable = rows.flatMap(({ id }, e) => {
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

/** A gram matrix that fails at a new row fails because of that row. */
function ofOneRow(error: unknown, rows: readonly KeyRow[], previous: number): unknown {
  const isOfRow = error instanceof NotPositiveDefiniteError && error.pivotIndex >= previous;
  return isOfRow
    ? new UnwritableEditsError([{ id: rows[error.pivotIndex - previous].id, reason: error.message }])
    : error;
}

/**
 * The threshold update of the sequence gate, per layer:
 * `alpha = min(alpha, min over the batch's prompts of max_i z_i)`, with the round's weights on the base model's keys.
 */
async function sequenceThresholds(
  { settings, collection, statistics, rowsPerBatch }: RoundContext,
  state: EditState,
  prompts: readonly KeyText[],
): Promise<number[]> {
  const alphas = state.layers.map((layer) => layer.sequenceThreshold);
  if (settings.gate !== 'sequence') return alphas;
  const strongest = await collection.strongest(prompts, hooksOf(state, statistics), rowsPerBatch, () => 'closed');
  return state.layers.map(({ layer }, i) => Math.min(alphas[i], ...strongest.get(layer)!));
}

function withLayer(state: EditState, position: number, layer: LayerState): EditState {
  return { ...state, layers: state.layers.map((other, i) => (i === position ? layer : other)) };
}

/** `scale (a - b)`. */
function difference(a: Matrix, b: Matrix, scale = 1): Matrix {
  return matrix(
    a.rows,
    a.columns,
    a.data.map((value, i) => (value - b.data[i]) * scale),
  );
}

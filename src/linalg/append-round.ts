/** @file Writes one round of edits: from measured keys and residuals to a segment, and to the memory after it. */
import { NotPositiveDefiniteError } from '../errors.js';
import { type EditMemory, type RoundSegment, replayRound, requireMatrixShape } from './edit-memory.js';
import type { GemmEngine } from './gemm.js';
import { block, columnNorms, type Matrix, matrix, stackColumns, subtract, symmetricPart, transpose } from './matrix.js';
import { solveLowerBlocked, solveLowerTransposedBlocked } from './triangular.js';

/** Rounds numbers to those that a storage type can hold. Returns as many numbers, in the same order. */
export type Rounding = (values: Float64Array) => Float64Array;

/** Rounds the gram matrix of new and earlier edits `[n, previous]`. */
export type CrossRounding = (cross: Matrix) => Matrix;

/**
 * The roundings of the segment's storage types; none by default.
 *
 * Rounding errors of `E` are isotropic, but keys are not. So the error `|K̂ - K| / |K|` of the stored keys, in the
 * metric `P0`, is about `eps sqrt(mean(s) mean(1 / s))` over the eigenvalues `s` of `C0` (see docs/results.md). Entries
 * of `E` grow as the key moment shrinks: for float16 the caller must scale rows into its range.
 */
export interface RoundStorage {
  /** Applied to `E_new` before anything is solved, so that the gram is that of the stored keys. */
  readonly roundKeys?: Rounding;
  /** Applied to `V_new`. */
  readonly roundTargets?: Rounding;
  /** Applied to the gram rows. */
  readonly roundGram?: Rounding;
  /**
   * Coarser roundings for the part of the gram rows that belongs to earlier edits, cheapest first. The first harmless
   * one is taken, see {@link appendRound}, and `roundGram` if none is.
   */
  readonly coarseCross?: readonly CrossRounding[];
}

/** What {@link appendRound} makes of a round. */
export interface AppendedRound {
  readonly memory: EditMemory;
  /** `replayRound(previous, segment)` gives `memory` again, bit for bit if the engine is deterministic. */
  readonly segment: RoundSegment;
  /** Share of each edit's residual that is written: `[n]`, see {@link appendRound}. */
  readonly writtenShare: Float64Array;
}

/** Keys in the metric `P0 = Fᵀ F`. */
export interface WhitenedKeys {
  /** `F K`: `[dInner, n]`; `kᵀ P0 k` is the squared norm of a column. */
  readonly whitened: Matrix;
  /** `Kᵀ P0 = (F K)ᵀ F`: `[n, dInner]`. */
  readonly whitenedKeys: Matrix;
}

/**
 * Whitens keys.
 * @param keys `[dInner, n]`, one key per column
 * @param factor `F = L⁻¹`: `[dInner, dInner]`, from `inverseFactor`
 */
export async function whiten(keys: Matrix, factor: Matrix, engine: GemmEngine): Promise<WhitenedKeys> {
  const whitened = await engine.gemm(factor, keys);
  return { whitened, whitenedKeys: await engine.gemm(whitened, factor, { transA: true }) };
}

/**
 * What a memory puts out at keys, beside something else: `dW K + add`, `[dModel, n]`.
 * @param keys `K`: `[dInner, n]`, one key per column
 */
export async function responsesAt(memory: EditMemory, keys: Matrix, engine: GemmEngine, add?: Matrix): Promise<Matrix> {
  const responses = await engine.gemm(memory.whitenedKeys, keys);
  return engine.gemm(memory.coefficients, responses, add && { add });
}

/**
 * Writes one round of edits on top of all before it: `dW += R Kᵀ (C + K Kᵀ)⁻¹`, in `O(dInner² n)`.
 *
 * `C = lambda C0 + K_p K_pᵀ`, where `C0` is the key statistics (the covariance of the keys) and `K_p` the keys of all
 * edits before.
 *
 * The written share of edit `e` is `1 - |r_e - U k_e| / |r_e|`, where `U` is the weight change of this round. With
 * `S = I + Kᵀ C⁻¹ K` it holds that `U K = R (I - S⁻¹)`, so `R S⁻¹ = lambda A_new` stays unwritten. For one edit, or for
 * keys that are orthogonal in `C⁻¹`, the share is `g / (1 + g)` with `g = kᵀ C⁻¹ k`. Edits that contradict each other
 * on one key lower it, even below 0. A key that was written before has `g < 1`, so at most half of a new residual
 * reaches it: an edit that replaces an older one should revoke that one first. A residual of zero counts as written.
 *
 * With `roundKeys`, the memory holds the keys that the stored `E` stands for: `K̂ = C0 Êᵀ = F⁻¹ F⁻ᵀ Êᵀ`. That takes two
 * triangular solves and no second factor. The targets are still the responses wanted on the measured keys.
 *
 * A coarse rounding of the gram rows of earlier edits leaves an error `D: [n, previous]` in the gram matrix. The
 * targets are moved by `A_p Dᵀ`, so that every residual stays as it was measured. Responses still change by
 * `(A_p_before - A_p) Dᵀ` on the new keys and by `A_new D` on the earlier ones. This is harmless while no edit's
 * response changes by more than {@link harmlessError} of its target. See docs/results.md for how much it is in
 * practice.
 *
 * The error stays in the gram matrix for good. `lambda I + gram` must stay positive definite with the exact rows of any
 * later key, and it does while the norm of all errors together is below lambda. Without that bound, keys close to
 * earlier ones, with statistics of few tokens, led to a gram matrix that no keys have. So errors whose norm would
 * exceed half of lambda are refused too.
 * @param keys `K`: `[dInner, n]`, one key per column
 * @param residuals `R`: `[dModel, n]`
 * @param factor `F`: `[dInner, dInner]`, `C0⁻¹ = Fᵀ F`
 * @throws InvalidInputError when shapes do not fit the memory
 */
export async function appendRound(
  memory: EditMemory,
  keys: Matrix,
  residuals: Matrix,
  factor: Matrix,
  engine: GemmEngine,
  storage: RoundStorage = {},
): Promise<AppendedRound> {
  requireMatrixShape('keys of the round', keys, memory.dInner, keys.columns);
  requireMatrixShape('residuals of the round', residuals, memory.dModel, keys.columns);
  requireMatrixShape('inverse factor of the key moment', factor, memory.dInner, memory.dInner);
  const stored = await storedKeys(keys, factor, engine, storage.roundKeys);
  const cross = await engine.gemm(stored.keys, memory.whitenedKeys, { transA: true, transB: true });
  const corner = symmetricPart(await engine.gemm(stored.whitened, stored.whitened, { transA: true }));
  const targets = await responsesAt(memory, keys, engine, residuals);
  const write: Writer = async (crossRows, movedTargets) => {
    const segment = {
      whitenedKeys: stored.whitenedKeys,
      targets: rounded(movedTargets, storage.roundTargets),
      gramRows: stackColumns(crossRows, rounded(corner, storage.roundGram)),
    };
    return { segment, memory: await replayRound(memory, segment, engine) };
  };
  const { coarseCross = [] } = cross.columns > 0 ? storage : {};
  const coarsely = await writeCoarsely(memory, cross, targets, coarseCross, engine, write);
  const written = coarsely ?? (await write(rounded(cross, storage.roundGram), targets));
  return { ...written, writtenShare: shareWritten(residuals, written.memory) };
}

/** Writes the round with these gram rows of earlier edits `[n, previous]` and these targets `[dModel, n]`. */
type Writer = (cross: Matrix, targets: Matrix) => Promise<Omit<AppendedRound, 'writtenShare'>>;

/** The round with the first harmless one of the coarse roundings, or undefined if none is. */
async function writeCoarsely(
  memory: EditMemory,
  cross: Matrix,
  targets: Matrix,
  roundings: readonly CrossRounding[],
  engine: GemmEngine,
  write: Writer,
): Promise<Awaited<ReturnType<Writer>> | undefined> {
  for (const round of roundings) {
    const coarse = round(cross);
    const error = subtract(coarse, cross);
    const moved = await engine.gemm(memory.coefficients, error, { transB: true, add: targets });
    const written = await unlessIndefinite(write(coarse, moved));
    if (written && (await isHarmless(memory, written.memory, error, engine))) return written;
  }
  return undefined;
}

/** Undefined if the gram matrix, being rounded, is not positive definite any more. */
async function unlessIndefinite<T>(solved: Promise<T>): Promise<T | undefined> {
  try {
    return await solved;
  } catch (error) {
    if (error instanceof NotPositiveDefiniteError) return undefined;
    throw error;
  }
}

/** The largest harmless change of an edit's response, as a share of its target's norm. */
const harmlessError = 0.005;

/** The largest harmless norm of the gram's error, as a share of lambda. */
const harmlessShift = 0.5;

/**
 * Whether the error of the coarse gram rows changes every edit's response by little, and leaves later rounds a gram
 * matrix that is positive definite: see {@link appendRound}. A target much smaller than the others is judged as one of
 * median norm.
 *
 * `A_p_before - A_p = A_new Xᵀ L_p⁻¹`, where `X = L_p⁻¹ gram_pn` is found in the rows of the new Cholesky factor.
 * @param error `D`: `[n, previous]`
 */
async function isHarmless(before: EditMemory, after: EditMemory, error: Matrix, engine: GemmEngine): Promise<boolean> {
  const { rows: count, columns: previous } = error;
  if (shiftOf(error) > harmlessShift * after.momentWeight) return false;
  const newCoefficients = block(after.coefficients, 0, after.dModel, previous, previous + count);
  const newFactorRows = block(after.factor, previous, previous + count, 0, previous);
  const mixing = await engine.gemm(newFactorRows, await solveLowerBlocked(before.factor, transpose(error), engine));
  const weights = await engine.gemm(newCoefficients, newCoefficients, { transA: true });
  const changes = [...(await productNorms(weights, error, engine)), ...(await productNorms(weights, mixing, engine))];
  const norms = columnNorms(after.targets);
  const median = norms.toSorted()[norms.length >> 1];
  return changes.every((change, i) => change <= harmlessError * (norms[i] > 1e-3 * median ? norms[i] : median));
}

/**
 * Estimates the spectral norm of the errors once all gram rows have errors of this size. Rounding errors are nearly
 * independent, and a symmetric `m x m` matrix of independent entries of root mean square `s` has the norm `2 s sqrt(m)`
 * (Wigner's semicircle law).
 * @param error `D`: `[n, previous]`
 */
function shiftOf({ rows, columns, data }: Matrix): number {
  const meanSquare = data.reduce((sum, value) => sum + value * value, 0) / data.length;
  return 2 * Math.sqrt(meanSquare * (rows + columns));
}

/**
 * The norms of the columns of `a b`, from `bᵀ (aᵀ a) b`, so that the large product `a b` is never made.
 * @param weights `aᵀ a`
 */
async function productNorms(weights: Matrix, b: Matrix, engine: GemmEngine): Promise<Float64Array> {
  const weighted = await engine.gemm(weights, b);
  const squares = new Float64Array(b.columns);
  b.data.forEach((value, i) => {
    squares[i % b.columns] += value * weighted.data[i];
  });
  return squares.map((square) => Math.sqrt(Math.max(0, square)));
}

/** The keys that the stored rows stand for. They are the given ones unless the rows are rounded. */
async function storedKeys(
  keys: Matrix,
  factor: Matrix,
  engine: GemmEngine,
  roundKeys: Rounding | undefined,
): Promise<WhitenedKeys & { readonly keys: Matrix }> {
  const exact = await whiten(keys, factor, engine);
  if (roundKeys === undefined) return { ...exact, keys };
  const whitenedKeys = rounded(exact.whitenedKeys, roundKeys);
  const whitened = await solveLowerTransposedBlocked(factor, transpose(whitenedKeys), engine);
  return { whitenedKeys, whitened, keys: await solveLowerBlocked(factor, whitened, engine) };
}

function rounded(a: Matrix, round: Rounding | undefined): Matrix {
  return round ? matrix(a.rows, a.columns, round(a.data)) : a;
}

/** `1 - |lambda A_new| / |R|`, edit by edit. */
function shareWritten(residuals: Matrix, memory: EditMemory): Float64Array {
  const { coefficients, momentWeight, dModel } = memory;
  const { columns } = coefficients;
  const unwritten = columnNorms(block(coefficients, 0, dModel, columns - residuals.columns, columns));
  const wanted = columnNorms(residuals);
  return unwritten.map((norm, i) => (wanted[i] === 0 ? 1 : 1 - (momentWeight * norm) / wanted[i]));
}

/**
 * @file What one hooked layer remembers of its edits: the consecutive update as recursive least squares.
 *
 * `C0` is the layer's key statistics: the covariance (not centred) of its keys. With the metric `P0 = C0⁻¹ = Fᵀ F`, the
 * keys `K: [dInner, edits]` of all edits so far, and `lambda` = momentWeight, the update `dW += R Kᵀ (C + K Kᵀ)⁻¹`,
 * `C += K Kᵀ`, started from `dW = 0`, `C = lambda C0`, is the minimiser of
 *
 *     lambda tr(dW C0 dWᵀ) + sum over edits of |dW k_e - v_e|²,    v_e = r_e + dW_before k_e,
 *
 * where `r_e` is the residual measured in the edit's own round and `dW_before` the weight change of the rounds before
 * (Schur complement of `lambda C0 + K Kᵀ`). So only the values `V = [v_e]` depend on the order of the rounds, and
 *
 *     dW = A E,   E = Kᵀ P0,   A = V (lambda I + gram)⁻¹,   gram = Kᵀ P0 K.
 *
 * `E`, `V` and `gram` are the published state. The coefficients `A` and the Cholesky factor are computed from it.
 */
import { InvalidInputError } from '../errors.js';
import { cholesky, solveCholesky } from './cholesky.js';
import type { GemmEngine } from './gemm.js';
import { block, type Matrix, matrix, setBlock, stackColumns, stackRows, transpose } from './matrix.js';
import { solveLowerBlocked, solveLowerTransposedBlocked } from './triangular.js';

/** The edits of one hooked layer, immutable: every function returns a new memory. */
export interface EditMemory {
  readonly dInner: number;
  readonly dModel: number;
  /** `lambda`, the weight of the key moment, absolute. */
  readonly momentWeight: number;
  /** `E = Kᵀ P0`: `[edits, dInner]`. */
  readonly whitenedKeys: Matrix;
  /** The values `V`: `[dModel, edits]`, the response `dW k_e` that each edit asks for. */
  readonly targets: Matrix;
  /** `gram = Kᵀ P0 K`: `[edits, edits]`. */
  readonly gram: Matrix;
  /** The coefficients `A = V (lambda I + gram)⁻¹`: `[dModel, edits]`, so `dW = A E`. */
  readonly coefficients: Matrix;
  /** Lower Cholesky factor of `lambda I + gram`: `[edits, edits]`. */
  readonly factor: Matrix;
}

/** What one round adds to a memory: the layer's part of a published artifact. */
export interface RoundSegment {
  /** `E_new = Kᵀ P0`: `[n, dInner]`. */
  readonly whitenedKeys: Matrix;
  /** `V_new`: `[dModel, n]`. */
  readonly targets: Matrix;
  /** `Kᵀ P0 [K_previous K]`: `[n, previous + n]`. */
  readonly gramRows: Matrix;
}

/**
 * The memory before the first edit.
 * @param momentWeight `lambda`, absolute: settings give it in units of `dInner`, the mean of `kᵀ P0 k` over ordinary
 *   keys
 * @throws InvalidInputError when `momentWeight` is not positive and finite
 */
export function emptyMemory(dInner: number, dModel: number, momentWeight: number): EditMemory {
  if (!(momentWeight > 0 && momentWeight < Infinity)) {
    throw new InvalidInputError('moment weight', 'positive and finite', `${momentWeight}`);
  }
  const none = matrix(0, 0);
  return {
    dInner,
    dModel,
    momentWeight,
    whitenedKeys: matrix(0, dInner),
    targets: matrix(dModel, 0),
    gram: none,
    coefficients: matrix(dModel, 0),
    factor: none,
  };
}

/**
 * The memory after one more round. It needs only what a segment holds, so the same function rebuilds published versions
 * and writes new ones.
 *
 * With `X = L_p⁻¹ gram_pn` (`L_p` the factor so far), the new corner is `L_n L_nᵀ = lambda I + gram_nn - Xᵀ X`, which
 * is `lambda S` of the recursive form, and `A_new = R (L_n L_nᵀ)⁻¹`, `A_p -= A_new Xᵀ L_p⁻¹`,
 * `R = V_new - A_p gram_pn`.
 * @throws InvalidInputError when the segment's shapes do not continue this memory
 * @throws NotPositiveDefiniteError when the gram rows are not those of any keys
 */
export async function replayRound(memory: EditMemory, segment: RoundSegment, engine: GemmEngine): Promise<EditMemory> {
  const previous = memory.gram.rows;
  requireContinuation(memory, segment, previous);
  if (previous === 0) return firstRound(memory, segment, engine);
  const count = segment.gramRows.rows;
  const crossRows = block(segment.gramRows, 0, count, 0, previous);
  const corner = block(segment.gramRows, 0, count, previous, previous + count);
  const cross = await solveLowerBlocked(memory.factor, transpose(crossRows), engine);
  const schur = await engine.gemm(cross, cross, {
    transA: true,
    alpha: -1,
    add: withRidge(corner, memory.momentWeight),
  });
  const cornerFactor = await cholesky(schur, engine, { what: gramName, firstIndex: previous });
  const residuals = await engine.gemm(memory.coefficients, crossRows, {
    transB: true,
    alpha: -1,
    add: segment.targets,
  });
  const newCoefficients = await solveCholesky(cornerFactor, transpose(residuals), engine);
  // In this order of the products every factor has one side as thin as the number of new edits.
  const correction = await solveLowerTransposedBlocked(memory.factor, cross, engine);
  const corrected = await engine.gemm(newCoefficients, correction, {
    transA: true,
    transB: true,
    alpha: -1,
    add: memory.coefficients,
  });
  return {
    ...memory,
    whitenedKeys: stackRows(memory.whitenedKeys, segment.whitenedKeys),
    targets: stackColumns(memory.targets, segment.targets),
    gram: bordered(memory.gram, crossRows, corner, true),
    coefficients: stackColumns(corrected, transpose(newCoefficients)),
    factor: bordered(memory.factor, transpose(cross), cornerFactor, false),
  };
}

const gramName = 'gram of the edits';

/** The first round, `A = V (lambda I + gram)⁻¹`. It does not copy the gram matrix, which may be that of all rounds. */
async function firstRound(memory: EditMemory, segment: RoundSegment, engine: GemmEngine): Promise<EditMemory> {
  const { whitenedKeys, targets, gramRows: gram } = segment;
  const factor = await cholesky(withRidge(gram, memory.momentWeight), engine, { what: gramName });
  const coefficients = transpose(await solveCholesky(factor, transpose(targets), engine));
  return { ...memory, whitenedKeys, targets, gram, coefficients, factor };
}

/** The dense weight change `dW = A E`: `[dModel, dInner]`. */
export function weightChange(memory: EditMemory, engine: GemmEngine): Promise<Matrix> {
  return engine.gemm(memory.coefficients, memory.whitenedKeys);
}

/**
 * @param previous the number of edits that the round stands on
 * @throws InvalidInputError when the segment's shapes do not continue this memory
 */
export function requireContinuation(memory: EditMemory, segment: RoundSegment, previous: number): void {
  const count = segment.gramRows.rows;
  requireMatrixShape('whitened keys of the round', segment.whitenedKeys, count, memory.dInner);
  requireMatrixShape('targets of the round', segment.targets, memory.dModel, count);
  requireMatrixShape('gram rows of the round', segment.gramRows, count, previous + count);
}

/** @throws InvalidInputError when the matrix has another shape */
export function requireMatrixShape(what: string, a: Matrix, rows: number, columns: number): void {
  if (a.rows !== rows || a.columns !== columns) {
    throw new InvalidInputError(what, `shape ${rows} x ${columns}`, `${a.rows} x ${a.columns}`);
  }
}

function withRidge(a: Matrix, ridge: number): Matrix {
  const data = a.data.slice();
  for (let i = 0; i < a.rows; i++) data[i * a.rows + i] += ridge;
  return matrix(a.rows, a.rows, data);
}

/** `[[before, belowᵀ or 0], [below, corner]]`. */
function bordered(before: Matrix, below: Matrix, corner: Matrix, symmetric: boolean): Matrix {
  const previous = before.rows;
  const size = previous + corner.rows;
  const result = matrix(size, size);
  setBlock(result, 0, 0, before);
  if (symmetric) setBlock(result, 0, previous, transpose(below));
  setBlock(result, previous, 0, below);
  setBlock(result, previous, previous, corner);
  return result;
}

/** @file Cholesky factors of symmetric positive definite matrices, their inverses, and the ridge before them. */
import { InvalidInputError, NotPositiveDefiniteError } from '../errors.js';
import type { GemmEngine } from './gemm.js';
import { block, type Matrix, matrix, setBlock } from './matrix.js';
import {
  blockRanges,
  blockSize,
  invertLowerInPlace,
  invertSmallLower,
  solveLowerBlocked,
  solveLowerTransposedBlocked,
  wideStep,
} from './triangular.js';

/**
 * The lower triangular `L` with `a = L Lᵀ`, by plain loops; for small systems and diagonal blocks.
 * @param a `[n, n]`, only its lower triangle is read
 * @param what the matrix in error messages
 * @param firstIndex index of the first row in the whole matrix, for error messages
 * @throws NotPositiveDefiniteError with the index of the first pivot that is not positive (or not a number)
 */
export function smallCholesky(a: Matrix, what = 'matrix', firstIndex = 0): Matrix {
  const size = a.rows;
  const { data } = matrix(size, size);
  for (let i = 0; i < size; i++) {
    for (let j = 0; j <= i; j++) {
      const rest = a.data[i * size + j] - rowProduct(data, i * size, j * size, j);
      if (j < i) data[i * size + j] = rest / data[j * size + j];
      else if (rest > 0 && rest < Infinity) data[i * size + i] = Math.sqrt(rest);
      else throw new NotPositiveDefiniteError(what, firstIndex + i, rest);
    }
  }
  return matrix(size, size, data);
}

function rowProduct(data: Float64Array, first: number, second: number, length: number): number {
  let sum = 0;
  for (let p = 0; p < length; p++) sum += data[first + p] * data[second + p];
  return sum;
}

/** How a matrix is factored, and what it is called in errors. */
export interface CholeskyOptions {
  /** The matrix in error messages. */
  readonly what?: string;
  /** Index of the first row in the whole matrix, for error messages. */
  readonly firstIndex?: number;
  /** Rows of the diagonal blocks. */
  readonly step?: number;
}

/**
 * The lower triangular `L` with `a = L Lᵀ`, block column by block column; nearly all flops are products of the engine.
 *
 * It looks left: one large product finishes a block column of `L` from all those before it. So nothing is updated
 * twice, and the engine gets few large calls (Golub and Van Loan, Matrix Computations, section 4.2). A large matrix is
 * first cut into wide block columns, and these into narrow ones, because every product copies its operands.
 * @param a `[n, n]` symmetric, only its lower triangle is read
 * @throws NotPositiveDefiniteError with the index of the first pivot that is not positive
 * @throws InvalidInputError when `a` is not square
 */
export async function cholesky(a: Matrix, engine: GemmEngine, options: CholeskyOptions = {}): Promise<Matrix> {
  const { what = 'matrix', firstIndex = 0, step = blockSize } = options;
  requireSquare(a, what);
  const size = a.rows;
  const factor = matrix(size, size);
  for (const [start, end] of blockRanges(size, wideStep(size, step))) {
    let panel = block(a, start, size, start, end);
    if (start > 0) {
      const left = block(factor, start, size, 0, start);
      const top = block(factor, start, end, 0, start);
      panel = await engine.gemm(left, top, { transB: true, alpha: -1, add: panel });
    }
    await finishPanel(panel, engine, { what, firstIndex: firstIndex + start, step });
    setBlock(factor, start, start, panel);
  }
  return factor;
}

/** Turns an updated block column of the matrix, from its diagonal on, into that of `L`, in place. */
async function finishPanel(
  panel: Matrix,
  engine: GemmEngine,
  { what, firstIndex, step }: Required<CholeskyOptions>,
): Promise<void> {
  const { rows, columns } = panel;
  for (const [left, right] of blockRanges(columns, step)) {
    let narrow = block(panel, left, rows, left, right);
    if (left > 0) {
      const before = block(panel, left, rows, 0, left);
      const top = block(panel, left, right, 0, left);
      narrow = await engine.gemm(before, top, { transB: true, alpha: -1, add: narrow });
    }
    const width = right - left;
    const corner = smallCholesky(block(narrow, 0, width, 0, width), what, firstIndex + left);
    setBlock(panel, left, left, corner);
    for (let i = left; i < right; i++) panel.data.fill(0, i * columns + right, (i + 1) * columns);
    if (right === rows) break;
    const below = block(narrow, width, narrow.rows, 0, width);
    setBlock(panel, right, left, await engine.gemm(below, invertSmallLower(corner), { transB: true }));
  }
}

/**
 * `F = L⁻¹`, lower triangular, of `a = L Lᵀ`: so `a⁻¹ = Fᵀ F` and `kᵀ a⁻¹ k = |F k|²`.
 * @param a `[n, n]` symmetric positive definite
 * @param what the matrix in error messages
 * @throws NotPositiveDefiniteError
 */
export async function inverseFactor(a: Matrix, engine: GemmEngine, what = 'matrix'): Promise<Matrix> {
  const factor = await cholesky(a, engine, { what });
  await invertLowerInPlace(factor, engine);
  return factor;
}

/** `x` with `L Lᵀ x = b`. `factor` = `L`: `[n, n]`, `b`: `[n, m]`. */
export async function solveCholesky(factor: Matrix, b: Matrix, engine: GemmEngine): Promise<Matrix> {
  return solveLowerTransposedBlocked(factor, await solveLowerBlocked(factor, b, engine), engine);
}

/** Relative ridge of {@link regularise} by default. */
export const defaultRelativeRidge = 1e-6;

/**
 * The key moment (the uncentred covariance of the keys) with `relativeRidge * mean(diagonal)` added to its diagonal. It
 * is positive definite even if the corpus had fewer tokens than `n`, or features that never fired.
 *
 * The default bounds the condition number by `n * 1e6`, since no eigenvalue exceeds the trace. So a float64 Cholesky
 * factor keeps at least five digits for any `n` in use. The default is not larger because a few outlier features lift
 * the mean of the diagonal far above its median: a ridge of 1e-3 of the mean could be as large as a typical eigenvalue,
 * and would change the metric.
 * @param moment `[n, n]` symmetric positive semidefinite, `E[k kᵀ]`
 * @throws InvalidInputError when the moment is not square, or its diagonal has no positive finite mean
 */
export function regularise(moment: Matrix, relativeRidge: number = defaultRelativeRidge): Matrix {
  requireSquare(moment, 'key moment');
  const size = moment.rows;
  let trace = 0;
  for (let i = 0; i < size; i++) trace += moment.data[i * size + i];
  if (!(trace > 0 && trace < Infinity)) {
    throw new InvalidInputError('trace of the key moment', 'positive and finite', `${trace}`);
  }
  const data = moment.data.slice();
  for (let i = 0; i < size; i++) data[i * size + i] += (relativeRidge * trace) / size;
  return matrix(size, size, data);
}

function requireSquare(a: Matrix, what: string): void {
  if (a.rows !== a.columns) throw new InvalidInputError(what, 'square', `${a.rows} x ${a.columns}`);
}

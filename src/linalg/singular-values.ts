/** @file Singular values of a product of two thin factors, without the product. */
import type { Matrix as SmallMatrix } from 'ml-matrix';
import type { GemmEngine } from './gemm.js';
import { block, type Matrix, matrix, stackRows, transpose } from './matrix.js';

/** `X = U diag(s) Vᵀ` with r singular values. */
export interface SingularValues {
  /** U `[rows, r]`, orthonormal columns. */
  readonly left: Matrix;
  /** s `[r]`, positive, descending. */
  readonly values: Float64Array;
  /** Vᵀ `[r, columns]`, orthonormal rows. */
  readonly right: Matrix;
}

/**
 * The thin singular value decomposition of `X = a b` from its factors: with orthonormal rows `Qa`, `Qb` and
 * `aᵀ = Ca Qa`, `b = Cb Qb`, it is that of the small matrix `Caᵀ Cb`, turned back:
 *
 *     a b = Qaᵀ (Caᵀ Cb) Qb,   Caᵀ Cb = Uc diag(s) Vcᵀ   =>   U = Qaᵀ Uc,   Vᵀ = Vcᵀ Qb
 *
 * Values that rounding cannot tell from 0 are left out, so r is the numerical rank (Golub and Van Loan, Matrix
 * Computations, sections 5.2 and 5.5).
 * @param a `[rows, inner]` @param b `[inner, columns]`
 */
export async function productSingularValues(a: Matrix, b: Matrix, engine: GemmEngine): Promise<SingularValues> {
  const ofA = await orthonormalRows(transpose(a), engine);
  const ofB = await orthonormalRows(b, engine);
  if (ofA.basis.rows === 0 || ofB.basis.rows === 0) return nothing(a.rows, b.columns);
  const core = await engine.gemm(ofA.coordinates, ofB.coordinates, { transA: true });
  const { left, values, right } = await smallSingularValues(core);
  return {
    left: await engine.gemm(ofA.basis, left, { transA: true }),
    values,
    right: await engine.gemm(right, ofB.basis),
  };
}

/** `|a b|`, the Frobenius norm of a product, from its thin factors: `|a b|² = sum of (aᵀ a) * (b bᵀ)`, element by element. */
export async function productNorm(a: Matrix, b: Matrix, engine: GemmEngine): Promise<number> {
  const ofA = await engine.gemm(a, a, { transA: true });
  const ofB = await engine.gemm(b, b, { transB: true });
  return Math.sqrt(Math.max(0, dot(ofA.data, ofB.data)));
}

/** What is left of a row of norm 1 when others nearly span it: below this it is rounding. */
const dependent = 1e-12;

/** Rows made orthonormal at once by plain loops; all else is done by the engine's products. */
const rowsPerBlock = 32;

/**
 * An orthonormal basis of what the rows of `x` span, and their coordinates: `x = coordinates basis`. Gram-Schmidt by
 * blocks, each of them twice, which is enough for orthogonality to rounding; rows that depend on others add nothing.
 * @returns basis `[r, columns]`, coordinates `[rows, r]`
 */
async function orthonormalRows(x: Matrix, engine: GemmEngine): Promise<{ basis: Matrix; coordinates: Matrix }> {
  let basis = matrix(0, x.columns);
  for (let start = 0; start < x.rows; start += rowsPerBlock) {
    let rows = unitRows(block(x, start, Math.min(start + rowsPerBlock, x.rows), 0, x.columns));
    for (let pass = 0; pass < 2 && rows.rows > 0; pass++) {
      rows = independentRows(basis.rows === 0 ? rows : await without(rows, basis, engine));
    }
    basis = stackRows(basis, rows);
  }
  if (basis.rows === 0) return { basis, coordinates: matrix(x.rows, 0) };
  return { basis, coordinates: await engine.gemm(x, basis, { transB: true }) };
}

/** What of the rows is orthogonal to a basis: `x - (x basisᵀ) basis`. */
async function without(x: Matrix, basis: Matrix, engine: GemmEngine): Promise<Matrix> {
  const along = await engine.gemm(x, basis, { transB: true });
  return engine.gemm(along, basis, { alpha: -1, add: x });
}

/** The rows of norm 1 that Gram-Schmidt makes of these, of norm 1 or what is left of it. */
function independentRows(x: Matrix): Matrix {
  const found: Float64Array[] = [];
  for (let r = 0; r < x.rows; r++) {
    const row = rowOf(x, r).slice();
    for (const earlier of found) {
      const along = dot(row, earlier);
      for (let i = 0; i < row.length; i++) row[i] -= along * earlier[i];
    }
    const norm = Math.sqrt(dot(row, row));
    if (norm > dependent) found.push(row.map((value) => value / norm));
  }
  return rowsTogether(found, x.columns);
}

/** The rows at norm 1; those of zeros fall away. */
function unitRows(x: Matrix): Matrix {
  const rows = Array.from({ length: x.rows }, (_, r) => rowOf(x, r));
  const scaled = rows.flatMap((row) => {
    const norm = Math.sqrt(dot(row, row));
    return norm > 0 ? [row.map((value) => value / norm)] : [];
  });
  return rowsTogether(scaled, x.columns);
}

/** The decomposition of a matrix of zeros. */
function nothing(rows: number, columns: number): SingularValues {
  return { left: matrix(rows, 0), values: new Float64Array(0), right: matrix(0, columns) };
}

async function smallSingularValues(x: Matrix): Promise<SingularValues> {
  const { Matrix: LibraryMatrix, SingularValueDecomposition } = await import('ml-matrix');
  const input = LibraryMatrix.from1DArray(x.rows, x.columns, x.data);
  const found = new SingularValueDecomposition(input, { autoTranspose: true });
  const all = Float64Array.from(found.diagonal);
  const least = Number.EPSILON * Math.max(x.rows, x.columns) * all[0];
  const rank = all.filter((value) => value > least).length;
  return {
    left: firstColumns(found.leftSingularVectors, rank),
    values: all.slice(0, rank),
    right: transpose(firstColumns(found.rightSingularVectors, rank)),
  };
}

function firstColumns(x: SmallMatrix, count: number): Matrix {
  const result = matrix(x.rows, count);
  for (let r = 0; r < x.rows; r++) {
    for (let c = 0; c < count; c++) result.data[r * count + c] = x.get(r, c);
  }
  return result;
}

function rowOf(x: Matrix, row: number): Float64Array {
  return x.data.subarray(row * x.columns, (row + 1) * x.columns);
}

function rowsTogether(rows: readonly Float64Array[], columns: number): Matrix {
  const result = matrix(rows.length, columns);
  rows.forEach((row, r) => {
    result.data.set(row, r * columns);
  });
  return result;
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

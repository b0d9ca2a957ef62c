/** @file Dense float64 matrices, row-major, and the copying of blocks that blocked algorithms need. */
import { InvalidInputError } from '../errors.js';

/** A dense float64 matrix in row-major order: element (i, j) is `data[i * columns + j]`. */
export interface Matrix {
  readonly rows: number;
  readonly columns: number;
  readonly data: Float64Array;
}

/**
 * A matrix over the given data (not copied), or a zero matrix.
 * @param data row-major values, `rows * columns` of them
 * @throws InvalidInputError when the number of values does not fit
 */
export function matrix(rows: number, columns: number, data?: Float64Array): Matrix {
  if (data !== undefined && data.length !== rows * columns) {
    throw new InvalidInputError('matrix data', `${rows} x ${columns} values`, `${data.length} values`);
  }
  return { rows, columns, data: data ?? new Float64Array(rows * columns) };
}

/** The identity matrix `[size, size]`. */
export function identity(size: number): Matrix {
  const result = matrix(size, size);
  for (let i = 0; i < size; i++) result.data[i * size + i] = 1;
  return result;
}

/** `aᵀ`: `[rows, columns]` to `[columns, rows]`, tile by tile so that both sides stay in the cache. */
export function transpose(a: Matrix): Matrix {
  const tile = 32;
  const { rows, columns, data } = a;
  const result = new Float64Array(rows * columns);
  for (let top = 0; top < rows; top += tile) {
    const bottom = Math.min(top + tile, rows);
    for (let left = 0; left < columns; left += tile) {
      const right = Math.min(left + tile, columns);
      for (let i = top; i < bottom; i++) {
        for (let j = left; j < right; j++) result[j * rows + i] = data[i * columns + j];
      }
    }
  }
  return matrix(columns, rows, result);
}

/** A copy of rows `[top, bottom)` and columns `[left, right)`. */
export function block(a: Matrix, top: number, bottom: number, left: number, right: number): Matrix {
  const columns = right - left;
  const result = matrix(bottom - top, columns);
  for (let i = top; i < bottom; i++) {
    result.data.set(a.data.subarray(i * a.columns + left, i * a.columns + right), (i - top) * columns);
  }
  return result;
}

/** Rows `[top, bottom)`, sharing the memory of `a`. */
export function rowsOf(a: Matrix, top: number, bottom: number): Matrix {
  return matrix(bottom - top, a.columns, a.data.subarray(top * a.columns, bottom * a.columns));
}

/** Writes `source` into `target` with its first element at (top, left). */
export function setBlock(target: Matrix, top: number, left: number, source: Matrix): void {
  for (let i = 0; i < source.rows; i++) {
    const row = source.data.subarray(i * source.columns, (i + 1) * source.columns);
    target.data.set(row, (top + i) * target.columns + left);
  }
}

/** `upper` over `lower`, both with the same number of columns; `lower` itself if `upper` has no rows. */
export function stackRows(upper: Matrix, lower: Matrix): Matrix {
  if (upper.rows === 0) return lower;
  const result = matrix(upper.rows + lower.rows, lower.columns);
  result.data.set(upper.data);
  result.data.set(lower.data, upper.data.length);
  return result;
}

/** `left` beside `right`, both with the same number of rows; `right` itself if `left` has no columns. */
export function stackColumns(left: Matrix, right: Matrix): Matrix {
  if (left.columns === 0) return right;
  const result = matrix(left.rows, left.columns + right.columns);
  setBlock(result, 0, 0, left);
  setBlock(result, 0, left.columns, right);
  return result;
}

/** `(a + aᵀ) / 2` of a square matrix. */
export function symmetricPart(a: Matrix): Matrix {
  const result = matrix(a.rows, a.rows);
  for (let i = 0; i < a.rows; i++) {
    for (let j = 0; j < a.rows; j++) {
      result.data[i * a.rows + j] = (a.data[i * a.rows + j] + a.data[j * a.rows + i]) / 2;
    }
  }
  return result;
}

/** `a - b`, of equal shapes. */
export function subtract(a: Matrix, b: Matrix): Matrix {
  return matrix(
    a.rows,
    a.columns,
    a.data.map((value, i) => value - b.data[i]),
  );
}

/** `sum += addend`, number by number. */
export function addTo(sum: Float64Array, addend: Float32Array): void {
  for (let i = 0; i < sum.length; i++) sum[i] += addend[i];
}

/** The Euclidean norm of each column: `[columns]`. */
export function columnNorms(a: Matrix): Float64Array {
  const norms = new Float64Array(a.columns);
  for (let i = 0; i < a.rows; i++) {
    for (let j = 0; j < a.columns; j++) norms[j] += a.data[i * a.columns + j] ** 2;
  }
  return norms.map(Math.sqrt);
}

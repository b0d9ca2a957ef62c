import { type Matrix, matrix } from '../../src/linalg/index.js';

/** The columns of `a` at these indices, in this order. */
export function selectColumns(a: Matrix, indices: readonly number[]): Matrix {
  const result = matrix(a.rows, indices.length);
  for (let i = 0; i < a.rows; i++) {
    for (let j = 0; j < indices.length; j++) {
      result.data[i * indices.length + j] = a.data[i * a.columns + indices[j]];
    }
  }
  return result;
}

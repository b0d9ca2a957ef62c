/** @file Residuals of triangular factors, computed in float64 block by block. */
import type { GemmEngine } from './gemm.js';
import { block, type Matrix, matrix } from './matrix.js';
import { blockRanges } from './triangular.js';

/** Rows of a block of a residual. Products are large, and little of the zero triangle is computed. */
const residualBlock = 1024;

/** `s a s - L Lᵀ`, symmetric: differences in float64, stored in float32. */
export async function factorResidual(
  a: Matrix,
  scales: Float64Array,
  l: Matrix,
  engine: GemmEngine,
  step = residualBlock,
): Promise<Float32Array> {
  const size = a.rows;
  const result = new Float32Array(size * size);
  for (const [top, bottom] of blockRanges(size, step)) {
    for (const [left, right] of blockRanges(bottom, step)) {
      const add = block(a, top, bottom, left, right);
      scaleRows(add, scales.subarray(top, bottom));
      scaleColumns(add, scales.subarray(left, right));
      const rows = block(l, top, bottom, 0, right);
      const columns = top === left ? rows : block(l, left, right, 0, right);
      const { data } = await engine.gemm(rows, columns, { transB: true, alpha: -1, add });
      for (let i = top; i < bottom; i++) {
        for (let j = left; j < Math.min(right, i + 1); j++) {
          const value = data[(i - top) * (right - left) + j - left];
          result[i * size + j] = value;
          result[j * size + i] = value;
        }
      }
    }
  }
  return result;
}

/** `I - F L`, lower triangular: differences in float64, stored in float32. */
export async function inverseResidual(
  f: Matrix,
  l: Matrix,
  engine: GemmEngine,
  step = residualBlock,
): Promise<Float32Array> {
  const size = f.rows;
  const result = new Float32Array(size * size);
  for (const [top, bottom] of blockRanges(size, step)) {
    for (const [left, right] of blockRanges(bottom, step)) {
      const add = matrix(bottom - top, right - left);
      if (top === left) for (let i = 0; i < add.rows; i++) add.data[i * add.columns + i] = 1;
      const rows = block(f, top, bottom, left, bottom);
      const { data } = await engine.gemm(rows, block(l, left, bottom, left, right), { alpha: -1, add });
      for (let i = top; i < bottom; i++) {
        const from = (i - top) * add.columns;
        result.set(data.subarray(from, from + Math.min(right, i + 1) - left), i * size + left);
      }
    }
  }
  return result;
}

function scaleRows(a: Matrix, scales: Float64Array): void {
  for (let i = 0, at = 0; i < a.rows; i++) {
    for (let j = 0; j < a.columns; j++) a.data[at++] *= scales[i];
  }
}

/** Multiplies each column of `a` by its scale, in place. */
export function scaleColumns(a: Matrix, scales: Float64Array): void {
  for (let i = 0, at = 0; i < a.rows; i++) {
    for (let j = 0; j < a.columns; j++) a.data[at++] *= scales[j];
  }
}

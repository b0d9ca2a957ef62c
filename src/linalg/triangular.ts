/** @file Solves with lower triangular matrices: plain ones for small systems, blocked ones for large. */
import type { GemmEngine } from './gemm.js';
import { block, type Matrix, matrix, rowsOf, setBlock } from './matrix.js';

/**
 * Rows per diagonal block of the blocked algorithms: large enough that products dominate, small enough for plain loops.
 */
export const blockSize = 128;

/**
 * Rows of the blocks into which a matrix of this size is cut first. Large ones get wide blocks, so that little is
 * copied.
 */
export function wideStep(size: number, step: number): number {
  return size > 16 * step ? 8 * step : step;
}

/** The half-open index ranges `[start, end)` of the diagonal blocks. */
export function blockRanges(size: number, step: number = blockSize): readonly (readonly [number, number])[] {
  return Array.from({ length: Math.ceil(size / step) }, (_, i) => [i * step, Math.min((i + 1) * step, size)] as const);
}

/** `x` with `l x = b`. `l`: `[n, n]` lower triangular (what lies above is not read), `b`: `[n, m]`. For small `n`. */
export function solveLower(l: Matrix, b: Matrix): Matrix {
  const x = b.data.slice();
  for (let i = 0; i < l.rows; i++) {
    for (let j = 0; j < i; j++) subtractRow(x, b.columns, i, j, l.data[i * l.columns + j]);
    scaleRow(x, b.columns, i, 1 / l.data[i * l.columns + i]);
  }
  return matrix(b.rows, b.columns, x);
}

/** `x` with `lᵀ x = b`. `l`: `[n, n]` lower triangular (what lies above is not read), `b`: `[n, m]`. For small `n`. */
export function solveLowerTransposed(l: Matrix, b: Matrix): Matrix {
  const x = b.data.slice();
  for (let i = l.rows - 1; i >= 0; i--) {
    scaleRow(x, b.columns, i, 1 / l.data[i * l.columns + i]);
    for (let j = 0; j < i; j++) subtractRow(x, b.columns, j, i, l.data[i * l.columns + j]);
  }
  return matrix(b.rows, b.columns, x);
}

/** `x[target] -= factor * x[source]` for rows of `width` values. */
function subtractRow(x: Float64Array, width: number, target: number, source: number, factor: number): void {
  if (factor === 0) return;
  let from = source * width;
  const end = (target + 1) * width;
  for (let to = target * width; to < end; to++) x[to] -= factor * x[from++];
}

function scaleRow(x: Float64Array, width: number, row: number, factor: number): void {
  for (let at = row * width; at < (row + 1) * width; at++) x[at] *= factor;
}

/** `l⁻¹` of a small lower triangular matrix `[n, n]`, itself lower triangular. The zero triangle is skipped. */
export function invertSmallLower(l: Matrix): Matrix {
  const size = l.rows;
  const { data } = matrix(size, size);
  for (let i = 0; i < size; i++) {
    const row = i * size;
    const pivot = 1 / l.data[row + i];
    for (let j = 0; j < i; j++) {
      const factor = -pivot * l.data[row + j];
      for (let p = 0; p <= j; p++) data[row + p] += factor * data[j * size + p];
    }
    data[row + i] = pivot;
  }
  return matrix(size, size, data);
}

/** Whether inverting a diagonal block and one product cost less than solving with it. */
const isWide = (b: Matrix): boolean => b.columns > blockSize;

/**
 * `x` with `l x = b`, block by block, the products done by the engine. `l`: `[n, n]` lower triangular, `b`: `[n, m]`.
 */
export async function solveLowerBlocked(l: Matrix, b: Matrix, engine: GemmEngine): Promise<Matrix> {
  const x = matrix(b.rows, b.columns);
  for (const [start, end] of blockRanges(l.rows)) {
    let right = rowsOf(b, start, end);
    if (start > 0) {
      const left = block(l, start, end, 0, start);
      right = await engine.gemm(left, rowsOf(x, 0, start), { alpha: -1, add: right });
    }
    const corner = block(l, start, end, start, end);
    setBlock(x, start, 0, isWide(b) ? await engine.gemm(invertSmallLower(corner), right) : solveLower(corner, right));
  }
  return x;
}

/**
 * `x` with `lᵀ x = b`, block by block, the products done by the engine. `l`: `[n, n]` lower triangular, `b`: `[n, m]`.
 */
export async function solveLowerTransposedBlocked(l: Matrix, b: Matrix, engine: GemmEngine): Promise<Matrix> {
  const x = matrix(b.rows, b.columns);
  for (const [start, end] of blockRanges(l.rows).toReversed()) {
    let right = rowsOf(b, start, end);
    if (end < l.rows) {
      const below = block(l, end, l.rows, start, end);
      right = await engine.gemm(below, rowsOf(x, end, l.rows), { transA: true, alpha: -1, add: right });
    }
    const corner = block(l, start, end, start, end);
    const solved = isWide(b)
      ? await engine.gemm(invertSmallLower(corner), right, { transA: true })
      : solveLowerTransposed(corner, right);
    setBlock(x, start, 0, solved);
  }
  return x;
}

/**
 * Replaces `l` by `l⁻¹`, block by block, with the engine's products. In place, because a second matrix of this size may
 * not fit in memory.
 * @param l `[n, n]` lower triangular, zeros above
 */
export async function invertLowerInPlace(l: Matrix, engine: GemmEngine, step = blockSize): Promise<void> {
  for (const [start, end] of blockRanges(l.rows, wideStep(l.rows, step))) {
    const corner = await invertCorner(block(l, start, end, start, end), engine, step);
    setBlock(l, start, start, corner);
    // Row block i of l⁻¹ is -corner * l[i, :i] * l⁻¹[:i, :i]; the last factor is triangular, so each of its
    // column blocks needs only the rows from its own diagonal on, and of l[i, :i] only what is not overwritten yet.
    for (const [left, right] of blockRanges(start, wideStep(l.rows, step))) {
      const beside = await engine.gemm(block(l, start, end, left, start), block(l, left, start, left, right));
      setBlock(l, start, left, await engine.gemm(corner, beside, { alpha: -1 }));
    }
  }
}

async function invertCorner(corner: Matrix, engine: GemmEngine, step: number): Promise<Matrix> {
  if (corner.rows <= step) return invertSmallLower(corner);
  await invertLowerInPlace(corner, engine, step);
  return corner;
}

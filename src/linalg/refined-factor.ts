/** @file The inverse factor from float32 kernels, refined to the accuracy of float64. */

import { factorResidual, inverseResidual, scaleColumns } from './factor-residuals.js';
import type { GemmEngine } from './gemm.js';
import { type Matrix, matrix } from './matrix.js';
import type { SingleKernels } from './single-kernels.js';
import { blockRanges } from './triangular.js';

/** A refined factor, or why there is none. */
export type Refinement =
  | {
      /** `F = L⁻¹`: float64 `[n, n]`, lower triangular. */
      readonly factor: Matrix;
      /** Float64 residuals that were computed. */
      readonly residuals: number;
      /** Estimate of `|F a Fᵀ - I|` (Frobenius norm), including the rounding errors of float64. */
      readonly error: number;
    }
  | { readonly refusal: string };

/** The kernels, and the float32 factors of the scaled matrix on their device. */
interface Single<M> {
  readonly kernels: SingleKernels<M>;
  readonly lower: M;
  readonly inverse: M;
}

/**
 * `F = L⁻¹` of `a = L Lᵀ`: Cholesky, inverse and corrections in float32, residuals in float64.
 *
 * With `A = s a s` of unit diagonal (s powers of 2, so that scaling is exact), `L0 L0ᵀ ~ A` and `F0 ~ L0⁻¹` in float32:
 *
 *     W = F0 (A - L Lᵀ) F0ᵀ,  L += L0 lower(W),   until W is only rounding
 *     E = I - F L,            F += E F0,          until E is only rounding
 *
 * where `lower` takes the strictly lower part and half the diagonal. It works because
 * `(L + L lower(W)) (L + L lower(W))ᵀ = L (I + W) Lᵀ + O(|W|²)`. The float32 error of a correction is relative to the
 * correction, which is small, so each turn shrinks the error by the factor `max(|W|, eps32 cond(L))`. A residual costs
 * `n³ / 3` FLOPs in float64, as much as a whole Cholesky factor, and several are needed. So this pays only where large
 * float64 products are much faster than the small ones of the default engine: on a GPU behind a bus, never on a CPU.
 *
 * A float32 factor is a good enough start up to a condition number of about `1 / eps32` of `A`. Scaling to unit
 * diagonal lowers the condition number of key moments, see docs/results.md. Above that, or if the residuals do not
 * fall, there is no refinement.
 * @param a `[n, n]` symmetric, only its lower triangle is read
 * @param engine of the residuals
 */
export async function refinedInverseFactor<M>(
  a: Matrix,
  kernels: SingleKernels<M>,
  engine: GemmEngine,
  step?: number,
): Promise<Refinement> {
  const size = a.rows;
  const scales = unitScales(a);
  const single = factorSingle(a, scales, kernels);
  if (single === undefined) return { refusal: 'it has no Cholesky factor in float32' };
  try {
    const l = widened(kernels.read(single.lower), size);
    const { ofFactor, ofInverse } = roundingNorms(single.kernels.read(single.inverse), size);
    const first = await refine('Cholesky factor', ofFactor, () =>
      correctFactor(l, factorResidual(a, scales, l, engine, step), single),
    );
    if ('refusal' in first) return first;
    const f = widened(kernels.read(single.inverse), size);
    const second = await refine('inverse', ofInverse, () =>
      correctInverse(f, inverseResidual(f, l, engine, step), single),
    );
    if ('refusal' in second) return second;
    scaleColumns(f, scales);
    const error = Math.max(first.error, ofFactor) + 2 * Math.max(second.error, ofInverse);
    return { factor: f, residuals: first.residuals + second.residuals, error };
  } finally {
    kernels.free(single.lower, single.inverse);
  }
}

/**
 * Estimates the norms of `W` and `E` that rounding to float64 leaves in any factor: errors of eps in the rows of `A`
 * and `L`, which have norm 1, multiplied by `F0`.
 */
function roundingNorms(inverse: Float32Array, size: number): { readonly ofFactor: number; readonly ofInverse: number } {
  const squares = sumOfSquares(inverse);
  return {
    ofFactor: (Number.EPSILON * squares) / Math.sqrt(size),
    ofInverse: Number.EPSILON * Math.sqrt(squares),
  };
}

/** The largest error of a refined factor. Its effect on `P0 K` is smaller. */
const largestError = 1e-8;

const mostTurns = 10;

/**
 * Corrects until only rounding errors are left.
 * @param rounding estimate of their norm
 * @param correct one correction; returns the norm of the error before it
 */
async function refine(
  what: string,
  rounding: number,
  correct: () => Promise<number>,
): Promise<{ readonly residuals: number; readonly error: number } | { readonly refusal: string }> {
  let last = 1;
  for (let turn = 1; turn <= mostTurns; turn++) {
    const error = await correct();
    const ratio = error / last;
    // In the first turn `last` is no error, so the ratio says nothing.
    const next = turn === 1 ? error : error * Math.max(error, ratio);
    if (next < rounding && rounding < largestError) return { residuals: turn, error: next };
    if (!(ratio < 0.5)) {
      const isRounding = Math.max(last, error) < Math.min(10 * rounding, largestError);
      if (isRounding) return { residuals: turn, error };
      const fall = `${last.toExponential(0)}, then ${error.toExponential(0)}`;
      return { refusal: `the residual of its float32 ${what} does not fall: ${fall}` };
    }
    last = error;
  }
  return { refusal: `the residual of its float32 ${what} is ${last.toExponential(0)} after ${mostTurns} corrections` };
}

/** Powers of 2 `[n]` that make the diagonal of `s a s` lie in [1/2, 2). */
function unitScales({ rows, data }: Matrix): Float64Array {
  return Float64Array.from({ length: rows }, (_, i) => 2 ** -Math.round(Math.log2(data[i * rows + i]) / 2));
}

/** Factor and inverse in float32; undefined without a factor. */
function factorSingle<M>(a: Matrix, scales: Float64Array, kernels: SingleKernels<M>): Single<M> | undefined {
  const size = a.rows;
  const scaled = new Float32Array(size * size);
  for (let i = 0; i < size; i++) {
    for (let j = 0; j <= i; j++) {
      const value = a.data[i * size + j] * scales[i] * scales[j];
      scaled[i * size + j] = value;
      scaled[j * size + i] = value;
    }
  }
  const moment = kernels.load(scaled, size, size);
  const lower = kernels.cholesky(moment);
  kernels.free(moment);
  const values = kernels.read(lower);
  for (let i = 0; i < size; i++) {
    const pivot = values[i * size + i];
    if (pivot > 0 && pivot < Infinity) continue;
    kernels.free(lower);
    return undefined;
  }
  return { kernels, lower, inverse: kernels.invertLower(lower) };
}

/** `L += L0 lower(W)`, in place. @returns `|W|` */
async function correctFactor<M>(l: Matrix, residual: Promise<Float32Array>, single: Single<M>): Promise<number> {
  const size = l.rows;
  const w = changeOfMetric(await residual, size, single);
  const norm = Math.sqrt(sumOfSquares(w));
  for (let i = 0; i < size; i++) w[i * size + i] /= 2;
  const { kernels, lower } = single;
  const change = kernels.load(w, size, size);
  addProduct(l, kernels, lower, change);
  kernels.free(change);
  return norm;
}

/** `F += E F0`, in place. @returns `|E|` */
async function correctInverse<M>(
  f: Matrix,
  residual: Promise<Float32Array>,
  { kernels, inverse }: Single<M>,
): Promise<number> {
  const e = await residual;
  const loaded = kernels.load(e, f.rows, f.rows);
  addProduct(f, kernels, loaded, inverse);
  kernels.free(loaded);
  return Math.sqrt(sumOfSquares(e));
}

/** Rows of a block of float32 products. Little of the zero triangle is computed. */
const productBlock = 1024;

/** The lower triangle of `W = F0 R F0ᵀ`, zeros above. */
function changeOfMetric<M>(residual: Float32Array, size: number, { kernels, inverse }: Single<M>): Float32Array {
  const result = new Float32Array(size * size);
  const loaded = kernels.load(residual, size, size);
  for (const [top, bottom] of blockRanges(size, productBlock)) {
    const rows = kernels.block(inverse, top, bottom, 0, bottom);
    const corner = kernels.block(loaded, 0, bottom, 0, bottom);
    const half = kernels.multiply(rows, corner);
    kernels.free(rows, corner);
    const columns = kernels.block(inverse, 0, bottom, 0, bottom);
    const whole = kernels.multiply(half, columns, { transB: true });
    const values = kernels.read(whole);
    kernels.free(half, columns, whole);
    for (let i = top; i < bottom; i++) {
      result.set(values.subarray((i - top) * bottom, (i - top) * bottom + i + 1), i * size);
    }
  }
  kernels.free(loaded);
  return result;
}

/** `target += a b`, all of them lower triangular. */
function addProduct<M>(target: Matrix, kernels: SingleKernels<M>, a: M, b: M): void {
  const size = target.rows;
  for (const [top, bottom] of blockRanges(size, productBlock)) {
    const rows = kernels.block(a, top, bottom, 0, bottom);
    const corner = kernels.block(b, 0, bottom, 0, bottom);
    const product = kernels.multiply(rows, corner);
    const values = kernels.read(product);
    kernels.free(rows, corner, product);
    for (let i = top; i < bottom; i++) {
      const from = (i - top) * bottom;
      for (let j = 0; j <= i; j++) target.data[i * size + j] += values[from + j];
    }
  }
}

function widened(values: Float32Array, size: number): Matrix {
  return matrix(size, size, new Float64Array(values));
}

function sumOfSquares(values: Float32Array): number {
  let sum = 0;
  for (const value of values) sum += value * value;
  return sum;
}

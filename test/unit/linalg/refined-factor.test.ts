import { describe, expect, it } from 'vitest';
import { multiply } from '../../../src/linalg/gemm.js';
import { inverseFactor, type Matrix, matrix, PlainGemmEngine } from '../../../src/linalg/index.js';
import { identity } from '../../../src/linalg/matrix.js';
import { type Refinement, refinedInverseFactor } from '../../../src/linalg/refined-factor.js';
import { PlainSingleKernels } from '../../support/plain-single-kernels.js';
import { gaussian, illConditioned, spectrumRoot, uniform } from '../../support/random-matrix.js';

const engine = new PlainGemmEngine();

async function refined(a: Matrix): Promise<Refinement> {
  const kernels = new PlainSingleKernels();
  const result = await refinedInverseFactor(a, kernels, engine);
  expect(kernels.alive.size).toBe(0);
  return result;
}

async function factorOf(a: Matrix): Promise<Extract<Refinement, { factor: Matrix }>> {
  const result = await refined(a);
  if ('refusal' in result) throw new Error(result.refusal);
  return result;
}

/** `P0 K = Fᵀ F K`. */
const whitened = (f: Matrix, keys: Matrix) => multiply(f, multiply(f, keys), { transA: true });

/** `a` with rows and columns times these, as features of very different size give it. */
function scaledBy(a: Matrix, scales: readonly number[]): Matrix {
  return matrix(
    a.rows,
    a.columns,
    a.data.map((value, at) => value * scales[Math.floor(at / a.columns)] * scales[at % a.columns]),
  );
}

describe('the refined inverse factor', () => {
  it.each([1e1, 1e3, 1e5, 1e6])('whitens keys as the float64 factor does, at condition %f', async (condition) => {
    const size = 150;
    const a = illConditioned(size, condition, 1);
    const { factor, error } = await factorOf(a);
    const expected = await inverseFactor(a, engine);
    for (const keys of [gaussian(size, 3, 2), multiply(spectrumRoot(size, condition, 1), gaussian(size, 3, 3))]) {
      expect(whitened(factor, keys).data).toBeAllclose(whitened(expected, keys).data, { relative: 1e-9 });
    }
    expect(error).toBeLessThan(1e-9);
  });

  it('is lower triangular and its error is about what it says', async () => {
    const size = 130;
    const a = illConditioned(size, 1e6, 4);
    const { factor, error } = await factorOf(a);
    const above = factor.data.filter((_, at) => at % size > Math.floor(at / size));
    expect(above.every((value) => value === 0)).toBe(true);
    const unit = multiply(multiply(factor, a), factor, { transB: true });
    const difference = Math.hypot(...unit.data.map((value, at) => value - identity(size).data[at]));
    expect(difference).toBeLessThan(10 * error);
  });

  it('does not mind features of very different size, which float32 alone would', async () => {
    const size = 100;
    const next = uniform(5);
    const a = scaledBy(
      illConditioned(size, 1e3, 6),
      Array.from({ length: size }, () => 10 ** (6 * next() - 3)),
    );
    const { factor } = await factorOf(a);
    const unit = multiply(multiply(factor, a), factor, { transB: true });
    expect(unit.data).toBeAllclose(identity(size).data, { relative: 1e-9 });
  });

  it('reads only the lower triangle, and is the same by blocks of any size', async () => {
    const size = 130;
    const a = illConditioned(size, 1e4, 7);
    const keys = gaussian(size, 2, 7);
    const expected = whitened(await inverseFactor(a, engine), keys);
    a.data.forEach((_, at) => {
      if (at % size > Math.floor(at / size)) a.data[at] = Number.NaN;
    });
    for (const step of [48, 65, 1024]) {
      const result = await refinedInverseFactor(a, new PlainSingleKernels(), engine, step);
      if ('refusal' in result) throw new Error(result.refusal);
      expect(whitened(result.factor, keys).data).toBeAllclose(expected.data, { relative: 1e-10 });
    }
  });

  it.each([
    [1e12, /no Cholesky factor in float32|does not fall/],
    [3e9, /no Cholesky factor in float32|does not fall/],
  ])('says why there is none at condition %f', async (condition, reason) => {
    const result = await refined(illConditioned(120, condition, 8));
    expect(result).toEqual({ refusal: expect.stringMatching(reason) });
  });

  it('refuses an indefinite matrix', async () => {
    const a = identity(20);
    a.data[5 * 20 + 5] = -1;
    expect(await refined(a)).toEqual({ refusal: 'it has no Cholesky factor in float32' });
  });
});

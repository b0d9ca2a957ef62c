import { describe, expect, it } from 'vitest';
import { InvalidInputError, NotPositiveDefiniteError } from '../../../src/errors.js';
import { smallCholesky, solveCholesky } from '../../../src/linalg/cholesky.js';
import { multiply } from '../../../src/linalg/gemm.js';
import {
  cholesky,
  inverseFactor,
  type Matrix,
  matrix,
  PlainGemmEngine,
  regularise,
  transpose,
} from '../../../src/linalg/index.js';
import { identity } from '../../../src/linalg/matrix.js';
import {
  invertLowerInPlace,
  solveLower,
  solveLowerBlocked,
  solveLowerTransposedBlocked,
} from '../../../src/linalg/triangular.js';
import { eliminate } from '../../support/dense-update.js';
import { tolerances } from '../../support/matchers.js';
import { gaussian, illConditioned } from '../../support/random-matrix.js';

const engine = new PlainGemmEngine();

function randomMoment(size: number): Matrix {
  const samples = gaussian(size, 2 * size, size);
  return multiply(samples, samples, { transB: true, alpha: 1 / (2 * size) });
}

function isLower(a: Matrix): boolean {
  return a.data.every((value, at) => at % a.columns <= Math.floor(at / a.columns) || value === 0);
}

async function failure(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => undefined,
    (error: unknown) => error,
  );
}

describe('cholesky', () => {
  it.each([1, 2, 127, 128, 129, 300])('gives a lower factor with L Lᵀ = A at size %i', async (size) => {
    const a = randomMoment(size);
    const l = await cholesky(a, engine);
    expect(isLower(l)).toBe(true);
    expect(multiply(l, l, { transB: true }).data).toBeAllclose(a.data, tolerances.float64);
  });

  it('is the same by blocks of any size as without blocks', async () => {
    const a = randomMoment(150);
    const whole = smallCholesky(a);
    for (const step of [1, 7, 64, 150, 512]) {
      expect((await cholesky(a, engine, { what: 'a', step })).data).toBeAllclose(whole.data, tolerances.float64);
    }
  });

  it('keeps L Lᵀ = A and F A Fᵀ = I on a moment of condition 1e8', async () => {
    const a = illConditioned(256, 1e8, 1);
    const l = await cholesky(a, engine);
    expect(multiply(l, l, { transB: true }).data).toBeAllclose(a.data, { relative: 1e-14 });
    const f = await inverseFactor(a, engine);
    const product = multiply(multiply(f, a), f, { transB: true });
    expect(product.data).toBeAllclose(identity(256).data, { relative: 1e-7 });
  });

  it('reads only the lower triangle', async () => {
    const a = randomMoment(140);
    const spoiled = matrix(
      140,
      140,
      a.data.map((value, at) => (at % 140 > Math.floor(at / 140) ? Number.NaN : value)),
    );
    expect((await cholesky(spoiled, engine)).data).toEqual((await cholesky(a, engine)).data);
  });

  it.each([0, 5, 130, 199])('names the pivot at which an indefinite matrix fails: %i', async (pivotIndex) => {
    const a = identity(200);
    a.data[pivotIndex * 200 + pivotIndex] = -3;
    const error = await failure(cholesky(a, engine, { what: 'key moment of layer 3' }));
    expect(error).toBeInstanceOf(NotPositiveDefiniteError);
    expect(error).toMatchObject({ matrix: 'key moment of layer 3', pivotIndex, pivot: -3 });
  });

  it('refuses a singular matrix, one with NaN, and one that is not square', async () => {
    expect(await failure(cholesky(matrix(3, 3), engine))).toMatchObject({ pivotIndex: 0, pivot: 0 });
    const spoiled = identity(3);
    spoiled.data[4] = Number.NaN;
    expect(await failure(cholesky(spoiled, engine))).toMatchObject({ pivotIndex: 1, pivot: Number.NaN });
    expect(await failure(cholesky(matrix(3, 4), engine))).toBeInstanceOf(InvalidInputError);
  });
});

describe('inverseFactor', () => {
  it.each([1, 100, 128, 290])('is lower with F A Fᵀ = I and FᵀF = A⁻¹ at size %i', async (size) => {
    const a = randomMoment(size);
    const f = await inverseFactor(a, engine);
    expect(isLower(f)).toBe(true);
    expect(multiply(multiply(f, a), f, { transB: true }).data).toBeAllclose(identity(size).data, tolerances.float64);
    const precision = multiply(f, f, { transA: true });
    expect(multiply(precision, a).data).toBeAllclose(identity(size).data, tolerances.float64);
  });
});

describe('the inverse in place', () => {
  it.each([1, 7, 8, 129, 300])('is the same by wide and narrow blocks as at once, at size %i', async (size) => {
    const l = await cholesky(randomMoment(size), engine);
    const expected = solveLower(l, identity(size));
    for (const step of [8, 16, 128]) {
      const inverse = matrix(size, size, l.data.slice());
      await invertLowerInPlace(inverse, engine, step);
      expect(isLower(inverse)).toBe(true);
      expect(inverse.data).toBeAllclose(expected.data, tolerances.float64);
    }
  });
});

describe('triangular solves', () => {
  it('undo the factor and its transpose, by blocks', async () => {
    const l = await cholesky(randomMoment(270), engine);
    const x = gaussian(270, 5, 3);
    const lower = await solveLowerBlocked(l, multiply(l, x), engine);
    expect(lower.data).toBeAllclose(x.data, tolerances.float64);
    const upper = await solveLowerTransposedBlocked(l, multiply(l, x, { transA: true }), engine);
    expect(upper.data).toBeAllclose(x.data, tolerances.float64);
  });

  it.each([20, 150])('solve a positive definite system as elimination does: %i', async (size) => {
    const a = randomMoment(size);
    const b = gaussian(size, 3, 4);
    const solved = await solveCholesky(smallCholesky(a), b, engine);
    expect(solved.data).toBeAllclose(eliminate(a, b).data, tolerances.float64);
  });

  it('keep an empty system empty', async () => {
    expect(await solveCholesky(matrix(0, 0), matrix(0, 4), engine)).toEqual(matrix(0, 4));
  });
});

describe('regularise', () => {
  it('adds the ridge relative to the mean of the diagonal, and nothing else', () => {
    const a = matrix(2, 2, Float64Array.of(1, 0.5, 0.5, 3));
    expect(regularise(a, 0.25).data).toEqual(Float64Array.of(1.5, 0.5, 0.5, 3.5));
    expect(a.data[0]).toBe(1);
  });

  it('makes a moment of fewer samples than features positive definite', async () => {
    const samples = gaussian(200, 20, 5);
    const moment = multiply(samples, transpose(samples), { alpha: 1 / 20 });
    const f = await inverseFactor(regularise(moment), engine);
    expect(f.data.every(Number.isFinite)).toBe(true);
  });

  it('refuses a moment without energy or with NaN', () => {
    expect(() => regularise(matrix(3, 3))).toThrow(InvalidInputError);
    expect(() => regularise(matrix(1, 1, Float64Array.of(Number.NaN)))).toThrow(InvalidInputError);
  });
});

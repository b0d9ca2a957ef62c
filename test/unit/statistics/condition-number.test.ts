import { describe, expect, it } from 'vitest';
import { inverseFactor, matrix, PlainGemmEngine } from '../../../src/linalg/index.js';
import { conditionNumber } from '../../../src/statistics/condition-number.js';
import { gaussian } from '../../support/random-matrix.js';

/** `Q diag(eigenvalues) Qᵀ` with a Householder reflection Q. */
function symmetric(eigenvalues: readonly number[]) {
  const size = eigenvalues.length;
  const { data: v } = gaussian(size, 1, 3);
  const squared = v.reduce((sum, value) => sum + value * value, 0);
  const q = (i: number, j: number) => (i === j ? 1 : 0) - (2 * v[i] * v[j]) / squared;
  const entry = (i: number, j: number) => eigenvalues.reduce((sum, value, e) => sum + q(i, e) * value * q(j, e), 0);
  return matrix(
    size,
    size,
    Float64Array.from({ length: size ** 2 }, (_, n) => entry(Math.floor(n / size), n % size)),
  );
}

describe('the condition number of a key moment', () => {
  it.each([
    ['of the identity', [1, 1, 1], 1],
    ['of far apart eigenvalues', [1e4, 10, 1, 0.1, 1e-3], 1e7],
  ])('%s is that of its eigenvalues', async (_, eigenvalues, expected) => {
    const factor = await inverseFactor(symmetric(eigenvalues), new PlainGemmEngine(), 'moment');
    expect(conditionNumber(factor) / expected).toBeCloseTo(1, 6);
  });

  it('is an estimate from below where eigenvalues lie close together', async () => {
    const eigenvalues = Array.from({ length: 40 }, (_, i) => 1 + i / 10);
    const estimate = conditionNumber(await inverseFactor(symmetric(eigenvalues), new PlainGemmEngine(), 'moment'));
    expect(estimate).toBeGreaterThan(0.8 * 4.9);
    expect(estimate).toBeLessThanOrEqual(4.9 * (1 + 1e-9));
  });
});

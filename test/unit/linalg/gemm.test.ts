import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InvalidInputError } from '../../../src/errors.js';
import { multiply } from '../../../src/linalg/gemm.js';
import { matrix, PlainGemmEngine, transpose } from '../../../src/linalg/index.js';
import { identity } from '../../../src/linalg/matrix.js';
import { naiveProduct, plus } from '../../support/dense-update.js';
import { tolerances } from '../../support/matchers.js';
import { gaussian } from '../../support/random-matrix.js';

const size = fc.integer({ min: 0, max: 19 });

describe('multiply', () => {
  it('is the definition of the product for every shape, transposition, factor and addend', async () => {
    await fc.assert(
      fc.asyncProperty(size, size, size, fc.boolean(), fc.boolean(), async (m, p, n, transA, transB) => {
        const a = gaussian(m, p, 1);
        const b = gaussian(p, n, 2);
        const add = gaussian(m, n, 3);
        const options = { transA, transB, alpha: -2.5, add };
        const result = await new PlainGemmEngine().gemm(transA ? transpose(a) : a, transB ? transpose(b) : b, options);
        expect([result.rows, result.columns]).toEqual([m, n]);
        expect(result.data).toBeAllclose(plus(add, naiveProduct(a, b), -2.5).data, tolerances.float64);
      }),
    );
  });

  it('is right over several chunks of the cache', () => {
    const a = gaussian(37, 700, 4);
    const b = gaussian(700, 101, 5);
    expect(multiply(a, b).data).toBeAllclose(naiveProduct(a, b).data, tolerances.float64);
  });

  it('leaves its operands untouched', () => {
    const a = gaussian(5, 5, 6);
    const before = a.data.slice();
    multiply(a, a, { transA: true, add: a });
    expect(a.data).toEqual(before);
  });

  it('refuses shapes that do not fit', () => {
    expect(() => multiply(matrix(2, 3), matrix(2, 3))).toThrow(InvalidInputError);
    expect(() => multiply(matrix(2, 3), matrix(3, 2), { add: matrix(2, 3) })).toThrow(InvalidInputError);
    expect(() => matrix(2, 3, new Float64Array(5))).toThrow(InvalidInputError);
  });
});

describe('transpose', () => {
  it('is its own inverse and leaves the identity alone', () => {
    const a = gaussian(70, 41, 7);
    expect(transpose(transpose(a))).toEqual(a);
    expect(transpose(a).data[3 * 70 + 65]).toBe(a.data[65 * 41 + 3]);
    expect(transpose(identity(5))).toEqual(identity(5));
  });
});

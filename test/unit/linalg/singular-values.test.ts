import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { multiply } from '../../../src/linalg/gemm.js';
import {
  block,
  type Matrix,
  matrix,
  PlainGemmEngine,
  productNorm,
  productSingularValues,
  type SingularValues,
  stackColumns,
} from '../../../src/linalg/index.js';
import { identity, stackRows, subtract } from '../../../src/linalg/matrix.js';
import { tolerances } from '../../support/matchers.js';
import { gaussian, orthonormal } from '../../support/random-matrix.js';

const engine = new PlainGemmEngine();

/** `U diag(s) Vᵀ` of the first `rank` values. */
function rebuilt({ left, values, right }: SingularValues, rank = values.length): Matrix {
  const scaled = matrix(
    left.rows,
    left.columns,
    left.data.map((value, i) => value * values[i % left.columns]),
  );
  return multiply(block(scaled, 0, left.rows, 0, rank), block(right, 0, rank, 0, right.columns));
}

const norm = ({ data }: Matrix) => Math.hypot(...data);

function expectDecomposition(found: SingularValues, a: Matrix, b: Matrix): void {
  const { left, values, right } = found;
  const eye = identity(values.length).data;
  expect(multiply(left, left, { transA: true }).data).toBeAllclose(eye, tolerances.float64);
  expect(multiply(right, right, { transB: true }).data).toBeAllclose(eye, tolerances.float64);
  expect(Array.from(values)).toEqual(Array.from(values).sort((x, y) => y - x));
  expect(rebuilt(found).data).toBeAllclose(multiply(a, b).data, tolerances.float64);
}

describe('the singular values of a product', () => {
  it('give the product back from orthonormal factors, whatever the shapes', async () => {
    const size = fc.integer({ min: 1, max: 40 });
    await fc.assert(
      fc.asyncProperty(size, size, size, fc.integer(), async (rows, inner, columns, seed) => {
        const [a, b] = [gaussian(rows, inner, seed), gaussian(inner, columns, seed + 1)];
        const found = await productSingularValues(a, b, engine);
        expect(found.values.length).toBe(Math.min(rows, inner, columns));
        expectDecomposition(found, a, b);
      }),
      { numRuns: 40 },
    );
  });

  it('are those that the product was made of', async () => {
    const expected = [300, 20, 7, 0.5, 1e-3];
    const [u, v] = [block(orthonormal(70, 1), 0, 70, 0, 5), block(orthonormal(90, 2), 0, 5, 0, 90)];
    const mixing = orthonormal(5, 3);
    const a = multiply(
      matrix(
        70,
        5,
        u.data.map((value, i) => value * expected[i % 5]),
      ),
      mixing,
    );
    const { values } = await productSingularValues(a, multiply(mixing, v, { transA: true }), engine);
    expect(values).toBeAllclose(expected, { relative: 1e-12 });
    expect(values[4] / 1e-3).toBeCloseTo(1, 6);
  });

  it('leave as much out at a lower rank as the norm of the values left out', async () => {
    const [a, b] = [gaussian(60, 50, 5), gaussian(50, 80, 6)];
    const found = await productSingularValues(a, b, engine);
    const dense = multiply(a, b);
    for (const rank of [1, 10, 33, 49]) {
      const tail = Math.hypot(...found.values.slice(rank));
      expect(norm(subtract(rebuilt(found, rank), dense)) / tail).toBeCloseTo(1, 9);
    }
  });

  it('have the numerical rank where columns or rows repeat, nearly repeat or are zero', async () => {
    const [a, b] = [gaussian(45, 40, 7), gaussian(40, 64, 8)];
    const nearly = matrix(
      45,
      40,
      a.data.map((value) => value * (1 + 1e-15)),
    );
    const repeated = stackColumns(stackColumns(a, nearly), matrix(45, 3));
    const below = stackRows(stackRows(b, gaussian(40, 64, 9)), gaussian(3, 64, 10));
    const found = await productSingularValues(repeated, below, engine);
    expect(found.values.length).toBe(40);
    expectDecomposition(found, repeated, below);
  });

  it('are found beside factors of wildly different scales', async () => {
    const scales = Float64Array.from({ length: 12 }, (_, i) => 10 ** (i - 6));
    const a = matrix(
      30,
      12,
      gaussian(30, 12, 11).data.map((value, i) => value / scales[i % 12]),
    );
    const b = matrix(
      12,
      50,
      gaussian(12, 50, 12).data.map((value, i) => value * scales[Math.floor(i / 50)]),
    );
    const found = await productSingularValues(a, b, engine);
    expect(found.values.length).toBe(12);
    expectDecomposition(found, a, b);
  });

  it('are none where the product is zero', async () => {
    const found = await productSingularValues(matrix(4, 3), gaussian(3, 5, 1), engine);
    expect([found.left.columns, found.values.length, found.right.rows]).toEqual([0, 0, 0]);
  });
});

describe('the norm of a product', () => {
  it('is that of the dense product', async () => {
    const [a, b] = [gaussian(20, 6, 1), gaussian(6, 30, 2)];
    expect(await productNorm(a, b, engine)).toBeCloseTo(norm(multiply(a, b)), 10);
  });
});

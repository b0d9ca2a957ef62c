import { afterAll, describe, expect, it } from 'vitest';
import { multiply } from '../../../src/linalg/gemm.js';
import { type Matrix, matrix } from '../../../src/linalg/index.js';
import { OnnxGemmEngine } from '../../../src/runtime/index.js';
import { tolerances } from '../../support/matchers.js';

function waves(rows: number, columns: number, seed: number): Matrix {
  return matrix(
    rows,
    columns,
    Float64Array.from({ length: rows * columns }, (_, i) => Math.sin(seed + i * i)),
  );
}

describe('the ONNX gemm engine', () => {
  const engine = new OnnxGemmEngine();
  afterAll(() => engine.dispose());

  const forms = [false, true].flatMap((transA) =>
    [false, true].flatMap((transB) => [1, -1, 0.1].map((alpha) => ({ transA, transB, alpha }))),
  );

  it.each(forms)('multiplies as plain loops do: %o', async ({ transA, transB, alpha }) => {
    for (const [rows, inner, columns] of [
      [5, 7, 3],
      [1, 33, 2],
    ] as const) {
      const a = transA ? waves(inner, rows, 1) : waves(rows, inner, 1);
      const b = transB ? waves(columns, inner, 2) : waves(inner, columns, 2);
      for (const extra of [{}, { add: waves(rows, columns, 3) }]) {
        const options = { transA, transB, alpha, ...extra };
        const product = await engine.gemm(a, b, options);
        const expected = multiply(a, b, options);
        expect([product.rows, product.columns]).toEqual([rows, columns]);
        expect(product.data).toBeAllclose(expected.data, tolerances.float64);
      }
    }
  });

  it('takes a part of a larger array', async () => {
    const whole = Float64Array.of(9, 9, 1, 2, 3, 4);
    const a = matrix(2, 2, whole.subarray(2));
    const product = await engine.gemm(a, matrix(2, 1, Float64Array.of(1, 1)));
    expect([...product.data]).toEqual([3, 7]);
  });

  it('does not write to the added matrix', async () => {
    const addend = matrix(1, 1, Float64Array.of(5));
    const one = matrix(1, 1, Float64Array.of(1));
    await engine.gemm(one, one, { add: addend });
    expect(addend.data[0]).toBe(5);
  });

  it('gives zeros or the addend for an inner size of 0', async () => {
    const left = matrix(2, 0);
    const right = matrix(0, 2);
    expect((await engine.gemm(left, right)).data).toBeAllclose([0, 0, 0, 0], tolerances.float64);
    const added = await engine.gemm(left, right, { add: matrix(2, 2, Float64Array.of(1, 2, 3, 4)) });
    expect(added.data).toBeAllclose([1, 2, 3, 4], tolerances.float64);
  });

  it('refuses operands that do not fit', async () => {
    await expect(engine.gemm(matrix(2, 3), matrix(2, 3))).rejects.toThrow('while inner is 3');
  });
});

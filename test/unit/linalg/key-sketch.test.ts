import { describe, expect, it } from 'vitest';
import { multiply } from '../../../src/linalg/gemm.js';
import { inverseFactor, keySketch, PlainGemmEngine } from '../../../src/linalg/index.js';
import { gaussian, spectrumRoot } from '../../support/random-matrix.js';

const engine = new PlainGemmEngine();

function squaredColumnNorms(data: Float64Array, columns: number): number[] {
  const norms = new Array<number>(columns).fill(0);
  for (let at = 0; at < data.length; at++) norms[at % columns] += data[at] ** 2;
  return norms;
}

describe('keySketch', () => {
  it('estimates kᵀ P0 k without bias and within its error bound on a moment of condition 1e6', async () => {
    const root = spectrumRoot(128, 1e6, 1);
    const factor = await inverseFactor(multiply(root, root, { transB: true }), engine);
    const keys = multiply(root, gaussian(128, 200, 2));
    const exact = squaredColumnNorms(multiply(factor, keys).data, 200);
    const ratios: number[] = [];
    for (let seed = 0; seed < 20; seed++) {
      const estimates = squaredColumnNorms(multiply(await keySketch(factor, engine, 64, seed), keys).data, 200);
      ratios.push(...estimates.map((estimate, i) => estimate / exact[i]));
    }
    const mean = ratios.reduce((sum, ratio) => sum + ratio, 0) / ratios.length;
    const deviation = Math.sqrt(ratios.reduce((sum, ratio) => sum + (ratio - mean) ** 2, 0) / ratios.length);
    expect(Math.abs(mean - 1)).toBeLessThan(0.02);
    expect(deviation).toBeGreaterThan(0.14);
    expect(deviation).toBeLessThan(0.2);
  });

  it('depends on its seed alone', async () => {
    const factor = await inverseFactor(multiply(gaussian(20, 40, 1), gaussian(20, 40, 1), { transB: true }), engine);
    const sketch = await keySketch(factor, engine, 8, 5);
    expect(await keySketch(factor, engine, 8, 5)).toEqual(sketch);
    expect(await keySketch(factor, engine, 8, 6)).not.toEqual(sketch);
    expect(await keySketch(factor, engine)).toMatchObject({ rows: 64, columns: 20 });
  });
});

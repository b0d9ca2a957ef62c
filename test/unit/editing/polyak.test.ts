import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { euclideanNorm } from '../../../src/editing/adam.js';
import { PolyakDescent } from '../../../src/editing/polyak.js';

const vectors = fc.array(fc.double({ min: -10, max: 10, noNaN: true }), { minLength: 3, maxLength: 3 });

describe("Polyak's descent", () => {
  it('reaches the zero of a linear loss in one step', () => {
    const x = Float64Array.of(4, -2);
    const slope = [3, 4];
    const loss = slope[0] * x[0] + slope[1] * x[1];
    new PolyakDescent(x, 100, 100).step(slope, loss);
    expect(slope[0] * x[0] + slope[1] * x[1]).toBeCloseTo(0, 12);
  });

  it('steps along the gradient alone, no further than its longest step, and stays in its ball', () => {
    fc.assert(
      fc.property(vectors, vectors, fc.double({ min: 0, max: 50, noNaN: true }), (start, gradient, loss) => {
        fc.pre(euclideanNorm(gradient) > 1e-3);
        const x = Float64Array.from(start);
        new PolyakDescent(x, 0.5, 1e6).step(gradient, loss);
        const moved = x.map((value, i) => start[i] - value);
        const length = euclideanNorm(moved);
        expect(length).toBeCloseTo(Math.min(0.5, loss / euclideanNorm(gradient)), 6);
        moved.forEach((value, i) => {
          expect(value * euclideanNorm(gradient)).toBeCloseTo(length * gradient[i], 6);
        });
        new PolyakDescent(x, 0.5, 2).step(gradient, loss);
        expect(euclideanNorm(x)).toBeLessThanOrEqual(2 + 1e-9);
      }),
      { seed: 7, numRuns: 200 },
    );
  });

  it('does not move where there is no gradient', () => {
    const x = Float64Array.of(1, 2);
    new PolyakDescent(x, 1, 10).step([0, 0], 3);
    expect([...x]).toEqual([1, 2]);
  });
});

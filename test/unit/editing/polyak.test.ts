import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { euclideanNorm } from '../../../src/editing/adam.js';
import { dot, type KnownLoss, polyakStep } from '../../../src/editing/polyak.js';

const size = 5;
const vector = fc
  .array(fc.double({ min: -10, max: 10, noNaN: true }), { minLength: size, maxLength: size })
  .filter((values) => euclideanNorm(values) > 1e-2);
const known: fc.Arbitrary<KnownLoss> = fc.record({
  loss: fc.double({ min: -5, max: 20, noNaN: true }),
  gradient: vector,
  at: vector.map((values) => Float64Array.from(values)),
  slack: fc.double({ min: 0.1, max: 2, noNaN: true }),
});

/** What the gradient of a loss says of it after a step. */
const after = ({ loss, gradient, at }: KnownLoss, x: Float64Array, step: Float64Array) =>
  loss + dot(gradient, x) - dot(gradient, at) + dot(gradient, step);

/** The objective of the step: its length, and what it leaves. */
const cost = (x: Float64Array, step: Float64Array, losses: readonly KnownLoss[]) =>
  dot(step, step) / 2 +
  losses.reduce((sum, one) => {
    const left = Math.max(0, after(one, x, step));
    return sum + left ** 2 / (2 * one.slack * dot(one.gradient, one.gradient));
  }, 0);

describe("Polyak's step", () => {
  it('goes along the gradient of one loss to where that is 0, or as far as its slack asks for', () => {
    fc.assert(
      fc.property(vector, vector, fc.double({ min: 0, max: 50, noNaN: true }), (start, gradient, loss) => {
        const x = Float64Array.from(start);
        const length = loss / euclideanNorm(gradient);
        for (const slack of [0, 0.5]) {
          const step = polyakStep(x, [{ loss, gradient, at: x, slack }]);
          const expected = gradient.map((g) => (-length * g) / euclideanNorm(gradient) / (1 + slack));
          expect(step).toBeAllclose(expected, { relative: 1e-9, absolute: 1e-9 });
        }
      }),
      { seed: 7, numRuns: 100 },
    );
  });

  it('costs least of all steps nearby, whichever losses ask for it and wherever they were evaluated', () => {
    fc.assert(
      fc.property(
        vector,
        fc.array(known, { minLength: 1, maxLength: 8 }),
        fc.array(vector),
        (start, losses, others) => {
          const x = Float64Array.from(start);
          const step = polyakStep(x, losses);
          const least = cost(x, step, losses);
          for (const other of others) {
            const moved = step.map((value, i) => value + other[i] * 1e-3);
            expect(cost(x, moved, losses)).toBeGreaterThanOrEqual(least - 1e-6 * (1 + least));
          }
        },
      ),
      { seed: 7, numRuns: 200 },
    );
  });

  it('meets losses at right angles all at once, and leaves those alone that are below 0', () => {
    const x = Float64Array.of(1, 2, 3);
    const losses = [
      { loss: 2, gradient: [2, 0, 0], at: x, slack: 0 },
      { loss: 3, gradient: [0, 1, 0], at: x, slack: 0 },
      { loss: -1, gradient: [0, 0, 1], at: x, slack: 0 },
    ];
    expect([...polyakStep(x, losses)]).toEqual([-1, -3, 0]);
  });

  it('does not move where there is no gradient', () => {
    const x = Float64Array.of(1, 2);
    expect([...polyakStep(x, [{ loss: 3, gradient: [0, 0], at: x, slack: 0 }])]).toEqual([0, 0]);
  });
});

import { describe, expect, it } from 'vitest';
import { euclideanNorm } from '../../../src/editing/adam.js';
import { type Look, subjectSearch } from '../../../src/editing/edit-search.js';
import { type Hyperparameters, parseHyperparameters } from '../../../src/editing/index.js';
import type { PartEvaluation } from '../../../src/editing/value-objective.js';

const dModel = 6;
const sequences = [0, 1, 2].map((sequence) => ({ sequence, isTaught: sequence < 2, weight: 1 }));

/** Two targets that pull at coordinates of their own and are said from there on where those are 1, and a text that pulls back. */
function evaluated({ part: [{ sequence }], at }: Look, endIsKept: boolean): PartEvaluation {
  const gradient = new Float32Array(dModel);
  const left = sequence < 2 ? Math.max(0, 1 - at[sequence]) : at.reduce((sum, value) => sum + value, 0);
  gradient[sequence] = sequence < 2 ? -3 : 0.1;
  // What stays is never well, so that it is looked at as long as it may be.
  const kept = sequence === 2 ? 0.5 : Number(endIsKept);
  return { nll: sequence < 2 ? 3 * left : 0, keptLoss: 0.01, gradient, hit: left < 0.1, kept };
}

/** The looks of each turn of a search, until it is done. */
function turnsOf(settings: Partial<Hyperparameters>, { endIsKept = true } = {}): (readonly Look[])[] {
  const zero = new Float64Array(dModel);
  const search = subjectSearch({
    id: 'one',
    dModel,
    norm: 10,
    sequences,
    atZero: sequences.map(({ sequence }) => evaluated({ part: [{ sequence, factor: 1 }], at: zero }, endIsKept)),
    taughtPerTurn: 0,
    settings: parseHyperparameters({ layers: [0], steps: 5, targetSteps: 3, stopKept: 1, ...settings }),
  });
  const turns: (readonly Look[])[] = [];
  while (!search.isDone) {
    const looks = search.next();
    turns.push(looks.map(({ part, at }) => ({ part, at: at.slice() })));
    search.look(looks.map((look) => evaluated(look, endIsKept)));
  }
  return turns;
}

const isTarget = ({ part: [{ sequence }] }: Look) => sequence < 2;
const difference = (one: Float64Array, other: Float64Array) => one.map((value, i) => value - other[i]);

describe('a search by the shortest step', () => {
  it('looks at targets beside the value, at a distance that is a multiple of its length, and at what stays at the value', () => {
    const turns = turnsOf({ targetNoise: 0.5, stopLoss: 0 });
    const both = turns.filter((looks) => looks.some(isTarget) && !looks.every(isTarget));
    expect(both.length).toBeGreaterThan(2);
    const noises = both.flatMap((looks) => {
      const { at: value } = looks.find((look) => !isTarget(look))!;
      expect(euclideanNorm(value)).toBeGreaterThan(0);
      return looks.filter(isTarget).map(({ at }) => {
        const noise = difference(at, value);
        expect(euclideanNorm(noise)).toBeCloseTo(0.5 * euclideanNorm(value), 12);
        return noise.map((entry) => entry / euclideanNorm(noise)).join();
      });
    });
    expect(new Set(noises).size).toBe(noises.length);
  });

  it('has the noise of its seed', () => {
    const [one, again, other] = [3, 3, 4].map((seed) => JSON.stringify(turnsOf({ seed })));
    expect(again).toBe(one);
    expect(other).not.toBe(one);
  });

  it('looks at every target at the value itself in the end', () => {
    const turns = turnsOf({ targetNoise: 0.5 });
    const last = turns.at(-1)!;
    expect(last.map(({ part: [{ sequence }] }) => sequence).toSorted()).toEqual([0, 1]);
    expect(last[0].at).toEqual(last[1].at);
  });

  it('has no noise where none is set', () => {
    for (const looks of turnsOf({ targetNoise: 0 })) {
      for (const { at } of looks) expect(at).toEqual(looks[0].at);
    }
  });

  it('goes on in the end for targets whose end is not kept, as far as it may', () => {
    const kept = turnsOf({ targetNoise: 0 });
    const lost = turnsOf({ targetNoise: 0, steps: 1, stopLoss: 1e-9 }, { endIsKept: false });
    expect(kept.filter((looks) => !looks.some((look) => !isTarget(look)))).toHaveLength(0);
    expect(lost.filter((looks) => !looks.some((look) => !isTarget(look)))).toHaveLength(4);
  });
});

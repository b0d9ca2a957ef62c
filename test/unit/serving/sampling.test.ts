import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { mostProbable, randomStream, sampleToken } from '../../../src/serving/sampling.js';

const logitsArbitrary = fc.array(fc.integer({ min: -20, max: 20 }), { minLength: 1, maxLength: 200 });

describe('the most probable tokens', () => {
  it('are the first of all tokens sorted by falling logit, then by id', () => {
    fc.assert(
      fc.property(logitsArbitrary, fc.integer({ min: 1, max: 30 }), (numbers, count) => {
        const sorted = numbers.map((_, id) => id).sort((a, b) => numbers[b] - numbers[a] || a - b);
        expect(mostProbable(Float32Array.from(numbers), count)).toEqual(sorted.slice(0, count));
      }),
    );
  });
});

describe('a sampled token', () => {
  it('is none where a logit overflowed, and never one of minus infinity', () => {
    const overflowed = Float32Array.of(1, Number.POSITIVE_INFINITY, 2);
    for (const options of [{ temperature: 1 }, { temperature: 1, topK: 2 }])
      expect(() => sampleToken(overflowed, options, () => 0.5)).toThrow('logits of the model: numbers, got Infinity');
    const masked = Float32Array.of(Number.NEGATIVE_INFINITY, 1);
    for (const share of [0, 0.5, 0.99]) expect(sampleToken(masked, { temperature: 1 }, () => share)).toBe(1);
  });

  it('is none where a logit is not a number', () => {
    const logits = Float32Array.of(1, Number.NaN, 2);
    for (const options of [{ temperature: 1 }, { temperature: 1, topK: 2 }, { temperature: 1, topP: 0.5 }]) {
      expect(() => sampleToken(logits, options, () => 0.5)).toThrow('logits of the model: numbers, got NaN');
    }
  });

  it('comes with the probability softmax(logits / temperature)', () => {
    const logits = Float32Array.of(1, 3, 2, -1);
    const temperature = 1.5;
    const weights = Array.from(logits, (logit) => Math.exp(logit / temperature));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    const counts = drawMany(logits, { temperature });
    // Four standard deviations of 20 000 draws are 0.014.
    expect(counts.map((count) => count / draws)).toBeAllclose(
      weights.map((weight) => weight / total),
      { relative: 0, absolute: 0.015 },
    );
  });

  it('is one of the topK most probable', () => {
    const counts = drawMany(Float32Array.of(1, 3, 2, -1), { temperature: 2, topK: 2 });
    expect(counts[0] + counts[3]).toBe(0);
    expect(Math.min(counts[1], counts[2])).toBeGreaterThan(0);
  });

  it('is one of the fewest most probable that reach topP together', () => {
    // Probabilities 0.09, 0.64, 0.24, 0.03 at temperature 1.
    const logits = Float32Array.of(1, 3, 2, 0);
    expect(drawMany(logits, { temperature: 1, topP: 0.6 })).toEqual([0, draws, 0, 0]);
    const two = drawMany(logits, { temperature: 1, topP: 0.7 });
    expect([two[0], two[3]]).toEqual([0, 0]);
    expect(two[1] / draws).toBeCloseTo(Math.E / (1 + Math.E), 1);
    expect(drawMany(logits, { temperature: 1, topP: 1 }).every((count) => count > 0)).toBe(true);
    expect(drawMany(logits, { temperature: 1, topK: 3, topP: 0.999 })[3]).toBe(0);
    expect(drawMany(Float32Array.of(5, 5, 1), { temperature: 1, topP: 0.1 })[2]).toBe(0);
  });

  it('is the most probable one at temperature 0, and nothing is drawn', () => {
    const random = () => {
      throw new Error('drawn');
    };
    expect(sampleToken(Float32Array.of(1, 3, 2), { temperature: 0, topP: 0.5 }, random)).toBe(1);
    expect(sampleToken(Float32Array.of(3, 3, 2), {}, random)).toBe(0);
  });

  it('is the most probable one at a temperature near zero, without overflow', () => {
    const counts = drawMany(Float32Array.of(-1000, 1000, 999), { temperature: 1e-3 });
    expect(counts).toEqual([0, draws, 0]);
  });
});

describe('random streams', () => {
  it('are the same for the same seed and number and differ otherwise', () => {
    const first = (seed: number, stream: number) => {
      const random = randomStream(seed, stream);
      return Array.from({ length: 4 }, random);
    };
    expect(first(7, 2)).toEqual(first(7, 2));
    const streams = [first(0, 0), first(0, 1), first(1, 0), first(1, 1), first(2, 0), first(0, 2)];
    expect(new Set(streams.map((numbers) => numbers[0])).size).toBe(streams.length);
  });
});

const draws = 20_000;

function drawMany(logits: Float32Array, options: { temperature: number; topK?: number; topP?: number }): number[] {
  const random = randomStream(1, 0);
  const counts = new Array<number>(logits.length).fill(0);
  for (let i = 0; i < draws; i++) counts[sampleToken(logits, options, random)]++;
  return counts;
}

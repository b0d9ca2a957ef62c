/** @file Drawing a token from a distribution. */
import { InvalidInputError } from '../errors.js';
import { randomIntegers } from '../linalg/index.js';

/** How tokens are drawn. */
export interface SamplingOptions {
  /** Logits are divided by it; 0 or absent takes the most probable token. */
  readonly temperature?: number;
  /** Draws from this many of the most probable tokens only; by default from all. */
  readonly topK?: number;
  /** Draws from the fewest most probable tokens that together reach this probability; absent or 1: from all. */
  readonly topP?: number;
  readonly seed?: number;
}

/** Uniform numbers in [0, 1) from a seed and a stream number. */
export function randomStream(seed: number, stream: number): () => number {
  const next = randomIntegers(Math.imul(seed, 0x2c1b3c6d) ^ Math.imul(stream + 1, 0x297a2d39));
  return () => next() / 2 ** 32;
}

/**
 * The most probable token at temperature 0, else one drawn with probability `softmax(logits / temperature)`, among the
 * `topK` most probable ones, and of these among the fewest that have the probability `topP` together.
 *
 * @param logits [vocab]
 * @param random uniform numbers in [0, 1); one is used, none at temperature 0
 * @throws {InvalidInputError} if a logit to draw by is not a number
 */
export function sampleToken(
  logits: Float32Array,
  { temperature = 0, topK, topP = 1 }: SamplingOptions,
  random: () => number,
): number {
  if (temperature === 0) return mostProbable(logits, 1)[0];
  requireNumbers(logits);
  const ids = topK === undefined ? undefined : mostProbable(logits, Math.min(topK, logits.length));
  const candidates = ids === undefined ? logits : Float32Array.from(ids, (id) => logits[id]);
  const largest = candidates.reduce((a, b) => Math.max(a, b));
  const weights = Float64Array.from(candidates, (logit) => Math.exp((logit - largest) / temperature));
  const drawn = drawIndex(topP < 1 ? nucleus(weights, topP) : weights, random());
  return ids === undefined ? drawn : ids[drawn];
}

/**
 * Minus infinity is a number here: such a token is never drawn.
 *
 * @throws {InvalidInputError} if one is not a number: weights were so large that products of them overflowed
 */
export function requireNumbers(logits: Float32Array): void {
  const got = [Number.NaN, Number.POSITIVE_INFINITY].find((value) => logits.includes(value));
  if (got === undefined) return;
  throw new InvalidInputError('logits of the model', 'numbers', `${got}; its weights are too large for float32`);
}

/**
 * Keeps the largest weights that make up this share of the sum, and sets the others to zero. Equal ones stay together.
 */
function nucleus(weights: Float64Array, share: number): Float64Array {
  const ascending = weights.toSorted();
  let remaining = share * sum(weights);
  let least = ascending.length;
  while (remaining > 0 && least > 0) remaining -= ascending[--least];
  return weights.map((weight) => (weight >= ascending[least] ? weight : 0));
}

/** Inverse of the cumulated weights at a share of their sum. */
function drawIndex(weights: Float64Array, share: number): number {
  let remaining = share * sum(weights);
  const drawn = weights.findIndex((weight) => {
    remaining -= weight;
    return remaining < 0;
  });
  // Rounding may leave a small rest after the last weight.
  return drawn < 0 ? weights.indexOf(weights.reduce((a, b) => Math.max(a, b))) : drawn;
}

const sum = (weights: Float64Array): number => weights.reduce((total, weight) => total + weight, 0);

/** Ids of the `count` largest logits, in falling order; the lower id first if they tie. */
export function mostProbable(logits: Float32Array, count: number): number[] {
  const falling = (a: number, b: number) => logits[b] - logits[a] || a - b;
  // A short list is kept sorted during one pass over the logits. A long one would move too many entries.
  if (count * 8 >= logits.length) return Array.from(logits.keys()).sort(falling).slice(0, count);
  const best: number[] = [];
  for (let id = 0; id < logits.length; id++) {
    if (best.length === count && logits[id] <= logits[best[count - 1]]) continue;
    let place = best.length === count ? count - 1 : best.length;
    for (; place > 0 && logits[best[place - 1]] < logits[id]; place--) best[place] = best[place - 1];
    best[place] = id;
  }
  return best;
}

/** @file The statistics of a layer: moments summed over a text, and their inverse factor. */
import { blockSize, wideStep } from '../../linalg/index.js';
import type { ModelConfig } from '../../model/index.js';
import { rowsPerBatch } from '../workbench.js';
import { blockForward, computedBytes, forwardRun, sketchRank } from './forward-work.js';
import { blockParameters, downProjectionParameters } from './model-size.js';
import { sumWork, timesWork, type Work, workOf } from './work.js';

/** A pass over a text. */
export interface MomentText {
  readonly tokens: number;
  readonly sequenceTokens: number;
}

/**
 * `Σ k kᵀ` of each of these layers over the tokens: blocks up to the deepest layer, without that layer's down-projection, and
 * `2 tokens dInner²` for each moment, which is added up in float64 by plain TypeScript after every run.
 */
export function momentWork(config: ModelConfig, layers: readonly number[], text: MomentText): Work {
  const { dInner } = config;
  const rows = Math.min(rowsPerBatch, text.tokens);
  const run = { rows, batch: rows / text.sequenceTokens, tokens: text.sequenceTokens };
  const deepest = Math.max(...layers);
  const last = blockForward(config, run, blockParameters(config) - downProjectionParameters(config));
  const moments = workOf({
    gemmFlops: 2 * rows * dInner ** 2,
    elements: dInner ** 2,
    operators: 1,
    transferBytes: computedBytes * dInner ** 2,
    hostElements: dInner ** 2,
  });
  const batch = sumWork(forwardRun(config, run, deepest), last, timesWork(layers.length, moments));
  return timesWork(text.tokens / rows, batch);
}

/** FLOPs of a Cholesky factor and its inverse, `n³ / 3` each. */
export const inverseFactorFlops = (size: number): number => (2 / 3) * size ** 3;

/**
 * The inverse factor of one layer's moment: blocked Cholesky and blocked inversion, whose diagonal blocks are plain
 * TypeScript, and which copy their blocks for every product; then the sketch.
 */
export function factorWork({ dInner }: ModelConfig): Work {
  const { flops, products, copied } = blockedFactor(dInner, wideStep(dInner, blockSize));
  return workOf({
    float64Flops: flops,
    // The sketch goes over the factor once for each of its rows, which memory makes twice as long as its arithmetic.
    hostFlops: (dInner / blockSize) * 2 * blockSize ** 3 + 2 * sketchRank * dInner ** 2,
    runs: products,
    operators: products,
    transferBytes: 8 * copied,
    // Large copies are made in fresh memory, which costs more than the copying.
    hostElements: 2 * copied + 4 * dInner ** 2,
  });
}

/**
 * What the engine does for factor and inverse in blocks of `step`: all but the diagonal blocks, `2 step³` for each block below
 * or beside one, and the diagonal blocks themselves where they are cut again. Operands are cut out: `n³ / (2 step)` numbers.
 */
function blockedFactor(size: number, step: number): { flops: number; products: number; copied: number } {
  const blocks = size / step;
  const beside = blocks * (blocks - 1);
  const inner = step > blockSize ? blockedFactor(step, blockSize) : { flops: 0, products: 0, copied: 0 };
  return {
    flops: inverseFactorFlops(size) * (1 - blocks ** -2) + 2 * step ** 3 * beside + blocks * inner.flops,
    products: 2 * (blocks - 1) + beside + blocks * inner.products,
    copied: size ** 3 / (2 * step) + blocks * inner.copied,
  };
}

/** @file The work of a layer's key statistics: the covariance of its keys over a text, and its inverse factor. */
import type { ModelConfig } from '../model/index.js';
import { rowsPerBatch } from '../runtime/index.js';
import { denseWork } from './dense-work.js';
import { blockForward, computedBytes, forwardRun, sketchRank } from './forward-work.js';
import { blockParameters, downProjectionParameters } from './model-size.js';
import { sumWork, timesWork, type Work, workOf } from './work.js';

/** A pass over a text. */
export interface MomentText {
  readonly tokens: number;
  readonly sequenceTokens: number;
}

/**
 * `Σ k kᵀ` of each of these layers over the tokens: blocks up to the deepest layer, without that layer's
 * down-projection, and `2 tokens dInner²` for each moment. After every run, plain TypeScript adds the moments up in
 * float64.
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

/** The inverse factor of one layer's moment, made in place, and the sketch. */
export function factorWork({ dInner }: Pick<ModelConfig, 'dInner'>): Work {
  return denseWork((dense) => {
    dense.cholesky(dInner);
    dense.inverse(dInner);
    dense.product(sketchRank, dInner, dInner);
  });
}

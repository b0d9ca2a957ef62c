/** @file The number of a decoder's parameters, from its config alone, without norms and biases, which are very few. */

import type { ModelConfig } from '../model/index.js';
import { mostWidenedOnCpu } from '../runtime/index.js';

/** Widths of the query, and of key and value each. */
export const queryWidth = ({ heads, dHead }: ModelConfig): number => heads * dHead;
export const keyWidth = ({ keyValueHeads, dHead }: ModelConfig): number => keyValueHeads * dHead;

/** Parameters of a block's matrices: `dModel (2 query + 2 key) + 2 or 3 dModel dInner`. */
export function blockParameters(config: ModelConfig): number {
  const { dModel, dInner, gatedMlp = false } = config;
  return dModel * (2 * queryWidth(config) + 2 * keyWidth(config)) + (gatedMlp ? 3 : 2) * dModel * dInner;
}

/** Parameters of the down-projection. */
export const downProjectionParameters = ({ dModel, dInner }: ModelConfig): number => dModel * dInner;

/** Parameters of the vocabulary's matrix. */
export const vocabularyParameters = ({ vocab, dModel }: ModelConfig): number => vocab * dModel;

/** Parameters of token embeddings, and of positions if they are learned. */
export const embeddingParameters = (config: ModelConfig): number =>
  vocabularyParameters(config) + (config.rotary === undefined ? config.maxTokens * config.dModel : 0);

/** Parameters of the whole model. */
export const modelParameters = (config: ModelConfig): number =>
  config.layers * blockParameters(config) +
  embeddingParameters(config) +
  (config.tiedEmbeddings ? 0 : vocabularyParameters(config));

/** As `isLargeModel` of editing decides. */
export const isLarge = (config: ModelConfig): boolean =>
  Float32Array.BYTES_PER_ELEMENT * modelParameters(config) > mostWidenedOnCpu;

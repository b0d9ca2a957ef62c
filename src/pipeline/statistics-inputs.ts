/** @file What key statistics are made of, and so what they are called. Reads no file and opens no model. */
import type { Hyperparameters } from '../editing/index.js';
import { InvalidInputError } from '../errors.js';
import { defaultRelativeRidge } from '../linalg/index.js';
import type { ModelCard } from './model-card.js';
import { type LayerInputs, layerInputsSchema } from './statistics-file.js';

/** Inputs that all layers share, where undefined is the default. */
export interface CommonInputs {
  readonly modelDigest: string;
  readonly corpusDigest: string;
  /** Longest sequence that the model takes, in tokens. */
  readonly longest: number;
  /** 200 000 unless said otherwise. */
  readonly maxTokens: number | undefined;
  /** 128 unless said otherwise, and no more than the model takes. */
  readonly sequenceTokens: number | undefined;
  readonly relativeRidge?: number | undefined;
  /** 64 unless said otherwise. */
  readonly sketchRank?: number | undefined;
  readonly seed: number;
}

/** The inputs of each layer's statistics. @throws {InvalidInputError} if one is out of range */
export function layerInputs(common: CommonInputs, layers: readonly number[]): LayerInputs[] {
  const { modelDigest, corpusDigest, longest, maxTokens = 200_000, sequenceTokens = 128, seed } = common;
  const { relativeRidge = defaultRelativeRidge, sketchRank = 64 } = common;
  const limits = { maxTokens, sequenceTokens: Math.min(sequenceTokens, longest) };
  const settings = { modelDigest, ...limits, relativeRidge, sketchRank, seed };
  const kind = { kind: 'key-statistics', formatVersion: 1 } as const;
  const checked = layerInputsSchema.omit({ layer: true }).safeParse({ ...kind, ...settings, corpusDigest });
  if (!checked.success) {
    const { path: where, message } = checked.error.issues[0];
    throw new InvalidInputError(`${where.join('.')} of key statistics`, message, JSON.stringify(settings));
  }
  return layers.map((layer) => ({ ...checked.data, layer }));
}

/**
 * The inputs of the statistics that a registered model's first round needs; their content keys are what a plan names.
 *
 * @throws {InvalidInputError} if the card names no corpus
 */
export function cardInputs(
  card: Pick<ModelCard, 'modelId' | 'modelDigest' | 'maxTokens' | 'corpus' | 'statistics'>,
  { layers, seed }: Pick<Hyperparameters, 'layers' | 'seed'>,
): LayerInputs[] {
  if (card.corpus === null) {
    throw new InvalidInputError(`corpus of model ${card.modelId}`, 'a text for key statistics', 'none');
  }
  const { maxTokens, sequenceTokens } = card.statistics;
  const { modelDigest, maxTokens: longest } = card;
  const corpusDigest = card.corpus.sha256;
  return layerInputs({ modelDigest, corpusDigest, longest, maxTokens, sequenceTokens, seed }, layers);
}

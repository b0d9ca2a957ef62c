import { InvalidInputError } from '../errors.js';
import { defaultRelativeRidge } from '../linalg/index.js';
import { type LayerInputs, layerInputsSchema } from './statistics-file.js';

/** Inputs that all layers share. Undefined means the default. */
export interface CommonInputs {
  readonly modelDigest: string;
  readonly corpusDigest: string;
  /** Longest sequence that the model takes, in tokens. */
  readonly longest: number;
  /** 200 000 by default. */
  readonly maxTokens: number | undefined;
  /** 128 by default, and at most what the model takes. */
  readonly sequenceTokens: number | undefined;
  readonly relativeRidge?: number | undefined;
  /** 64 by default. */
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

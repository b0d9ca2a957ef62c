/** @file What subjects take while their values are searched: rows of a step, and bytes that are kept for the next one. */
import type { Model, ModelConfig } from '../model/index.js';
import { type Hyperparameters, valueLayer } from './hyperparameters.js';
import { type ObjectiveSequence, objectiveSequences, suffixLength } from './objective-sequence.js';
import type { TokenizedSubject } from './prompts.js';

/** What a subject takes while it is in work. */
export interface SubjectSizes {
  /** Tokens of all its sequences. */
  readonly tokens: number;
  /** Rows that a step runs for it, with the longest of its texts. */
  readonly stepRows: number;
  /** Bytes of what is kept for its next steps: keys and values before it, its rows, the distributions to keep. */
  readonly keptBytes: number;
}

/** What is before the subject, so that sequences which begin alike share it. */
export const beginningOf = ({ tokenIds, lookups }: ObjectiveSequence): string => tokenIds.slice(0, lookups[0]).join();

/** How many taught texts a step looks at: every fact of a subject comes up in each, for they pull at one value. */
export function taughtTextsPerStep(
  { templatesPerStep }: Pick<Hyperparameters, 'templatesPerStep'>,
  { facts }: Pick<TokenizedSubject, 'facts'>,
): number {
  return templatesPerStep === 0 ? 0 : Math.max(templatesPerStep, facts.length);
}

export function subjectSizes(config: ModelConfig, settings: Hyperparameters, subject: TokenizedSubject): SubjectSizes {
  const sequences = objectiveSequences(subject, 0, settings);
  const sum = (of: (sequence: ObjectiveSequence) => number) => sequences.reduce((total, one) => total + of(one), 0);
  const beginnings = new Map(sequences.map((sequence) => [beginningOf(sequence), sequence.lookups[0]]));
  const pastTokens = [...beginnings.values()].reduce((total, tokens) => total + tokens, 0);
  const keptNumbers =
    pastTokens * 2 * blocksAbove({ config }, settings) * config.keyValueHeads * config.dHead +
    sum(suffixLength) * config.dModel +
    sum(({ kept }) => kept.length) * config.vocab;
  return {
    tokens: sum(({ tokenIds }) => tokenIds.length),
    stepRows: stepRows(sequences, taughtTextsPerStep(settings, subject)),
    keptBytes: Float32Array.BYTES_PER_ELEMENT * keptNumbers,
  };
}

/** Rows of the longest sequences that a step looks at: `taughtPerTurn` taught ones and one that keeps, or all for 0. */
function stepRows(sequences: readonly ObjectiveSequence[], taughtPerTurn: number): number {
  const longest = (isTaught: boolean, count: number) =>
    sequences
      .filter((sequence) => sequence.isTaught === isTaught)
      .map(suffixLength)
      .sort((a, b) => b - a)
      .slice(0, taughtPerTurn === 0 ? sequences.length : count);
  return [...longest(true, taughtPerTurn), ...longest(false, 1)].reduce((total, rows) => total + rows, 0);
}

/**
 * Bytes of float32 activations that one row of the objective keeps for the backward pass. In every block above L these
 * are about twelve vectors of the model's width and eight of the MLP's inner width. A share of the logits comes on top.
 */
export function objectiveRowBytes(config: ModelConfig, settings: Pick<Hyperparameters, 'layers'>): number {
  const blocks = blocksAbove({ config }, settings);
  const logitShare = 0.25;
  return 4 * (blocks * (12 * config.dModel + 8 * config.dInner) + logitShare * 4 * config.vocab);
}

export function blocksAbove({ config }: Pick<Model, 'config'>, settings: Pick<Hyperparameters, 'layers'>): number {
  return config.layers - valueLayer(settings) - 1;
}

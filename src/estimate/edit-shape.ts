/** @file Lengths of an edit's prompts, and the rows that a value search makes of them. */
import { genericKeepPrompts, type Hyperparameters } from '../editing/index.js';

/** Mean sizes of an edit's prompts, in tokens. */
export interface EditShape {
  /** Context templates, the bare one included. */
  readonly templates: number;
  /** The bare prompt with its subject, and the index of the subject's last token in it. */
  readonly promptTokens: number;
  readonly lookupIndex: number;
  /** Tokens that a prefixed template puts before the prompt. */
  readonly prefixTokens: number;
  readonly targetTokens: number;
  /** Index of the subject's last token in "{subject} is a". */
  readonly subjectLookupIndex: number;
  readonly keepPrompts: number;
  readonly keepTokens: number;
  readonly keepLookupIndex: number;
  /** Prompts of validation beside the edit's prompt. */
  readonly paraphrases: number;
  readonly paraphraseTokens: number;
  readonly neighborhood: number;
  readonly neighborhoodTokens: number;
  /** The longest sequence of a batch over the mean: the size of attention's rectangle over its tokens. */
  readonly longestOverMean: number;
  /**
   * The longest suffix of a batch, from the subject's last token on, over the mean. Suffixes are short and vary more.
   */
  readonly longestSuffixOverMean: number;
}

/**
 * Means of the first 1000 records of CounterFact with SmolLM2's tokenizer, six context templates and the generic keep
 * prompts. The longest over the mean is that of sixteen edits at a time.
 */
export const counterFactShape: EditShape = {
  templates: 6,
  promptTokens: 8.4,
  lookupIndex: 4.1,
  prefixTokens: 10,
  targetTokens: 1.2,
  subjectLookupIndex: 3.6,
  keepPrompts: genericKeepPrompts.length,
  keepTokens: 6.8,
  keepLookupIndex: 4.4,
  paraphrases: 2,
  paraphraseTokens: 20.5,
  neighborhood: 10,
  neighborhoodTokens: 8.5,
  longestOverMean: 1.4,
  longestSuffixOverMean: 2,
};

/** Rows of the sequences of one edit's objective. */
export interface ObjectiveRows {
  readonly sequences: number;
  /** All tokens, which run once up to the value layer. */
  readonly tokens: number;
  /** Tokens before the subject's last one, which run once above the value layer. */
  readonly prefixTokens: number;
  /** Tokens from there on, which run at every step. */
  readonly suffixTokens: number;
  /** Rows of the vocabulary for targets, and for kept positions. */
  readonly targets: number;
  readonly kept: number;
  /** Number of parts of the objective. Each step takes one, in turn. */
  readonly parts: number;
}

/** The rows of an edit's objective, for prompts of the mean sizes in {@link EditShape}. */
export function objectiveRows(
  shape: EditShape,
  { klFactor, keepFactor, templatesPerStep }: Pick<Hyperparameters, 'klFactor' | 'keepFactor' | 'templatesPerStep'>,
): ObjectiveRows {
  const { templates } = shape;
  const [subjects, keeps] = [klFactor > 0 ? 1 : 0, keepFactor > 0 ? shape.keepPrompts : 0];
  const written = templates * (shape.promptTokens + shape.targetTokens - 1) + (templates - 1) * shape.prefixTokens;
  const before = templates * shape.lookupIndex + (templates - 1) * shape.prefixTokens;
  const tokens = written + subjects * (shape.subjectLookupIndex + 1) + keeps * shape.keepTokens;
  const prefixTokens = before + subjects * shape.subjectLookupIndex + keeps * shape.keepLookupIndex;
  return {
    sequences: templates + subjects + keeps,
    tokens,
    prefixTokens,
    suffixTokens: tokens - prefixTokens,
    targets: templates * shape.targetTokens,
    kept: subjects + keeps,
    parts: templatesPerStep === 0 ? 1 : Math.ceil(templates / templatesPerStep),
  };
}

/** Tokens of an edit's prompts in all templates, which key collection runs. */
export const collectedTokens = ({ templates, promptTokens, prefixTokens }: EditShape): number =>
  templates * promptTokens + (templates - 1) * prefixTokens;

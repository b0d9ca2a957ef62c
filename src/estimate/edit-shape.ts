/** @file How long the prompts of an edit are, and what rows a value search makes of them. */
import { genericKeepPrompts, type Hyperparameters } from '../editing/index.js';

/** Mean sizes of an edit's prompts, in tokens. */
export interface EditShape {
  /** Context templates, the bare one included. */
  readonly templates: number;
  /** The bare prompt with its subject, and the index of the subject's last token in it. */
  readonly promptTokens: number;
  readonly lookupIndex: number;
  /** What a prefixed template puts before the prompt. */
  readonly prefixTokens: number;
  readonly targetTokens: number;
  /** Index of the subject's last token in "{subject} is a". */
  readonly subjectLookupIndex: number;
  readonly keepPrompts: number;
  readonly keepTokens: number;
  readonly keepLookupIndex: number;
  /** What validation asks beside the prompt. */
  readonly paraphrases: number;
  readonly paraphraseTokens: number;
  readonly neighborhood: number;
  readonly neighborhoodTokens: number;
  /** The longest sequence of a batch over the mean one: what attention's rectangle holds of padding. */
  readonly longestOverMean: number;
  /** The longest suffix of a batch, from the subject's last token on, over the mean one: these are short and vary more. */
  readonly longestSuffixOverMean: number;
}

/**
 * Means of the first 1000 records of CounterFact with SmolLM2's tokenizer, six context templates and the generic keep prompts;
 * of sixteen edits at a time, what the longest is over the mean.
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

/** What the sequences of one edit's objective come to. */
export interface ObjectiveRows {
  readonly sequences: number;
  /** All tokens: what is run once up to the value layer. */
  readonly tokens: number;
  /** Tokens before the subject's last one: what is run once above the value layer. */
  readonly prefixTokens: number;
  /** Tokens from there on: what is run at every step. */
  readonly suffixTokens: number;
  /** Rows of the vocabulary for targets, and for what should stay. */
  readonly targets: number;
  readonly kept: number;
  /** Steps' sequences are taken in turn from so many parts. */
  readonly parts: number;
}

/** The sequences of an edit's objective, as {@link EditShape} has them on average. */
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

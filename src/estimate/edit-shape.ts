/** @file Lengths of an edit's texts, and the rows that a value search and a solve make of them. */
import { type Hyperparameters, partsOf } from '../editing/index.js';

/** Mean sizes of an edit's texts, in tokens. Each edit is planned as the only fact of its subject. */
export interface EditShape {
  /** Phrasings that are taught, the edit's own prompt included. */
  readonly phrasings: number;
  /** Contexts of each phrasing, the bare one included. */
  readonly templates: number;
  /** The bare prompt with its subject, and the index of the subject's last token in it. */
  readonly promptTokens: number;
  readonly lookupIndex: number;
  /** Tokens that a context puts before the prompt. */
  readonly prefixTokens: number;
  readonly targetTokens: number;
  /** Index of the subject's last token in "{subject} is a". */
  readonly subjectLookupIndex: number;
  /** Texts that keep what the base model says of the subject: their openings, and the subject's last token in them. */
  readonly keptTexts: number;
  readonly openingTokens: number;
  readonly openingLookupIndex: number;
  /** Forms of a subject, each a text up to its name, and the rows that they are gathered into. */
  readonly forms: number;
  readonly formTokens: number;
  readonly rows: number;
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
 * Means of the first 1000 records of CounterFact with SmolLM2's tokenizer, six contexts and four plain openings. The longest over
 * the mean is that of sixteen edits at a time. How many rows the forms make is a guess: one at the beginning of a text, one inside
 * of it, one in lower case.
 */
export const counterFactShape: EditShape = {
  phrasings: 1,
  templates: 6,
  promptTokens: 8.4,
  lookupIndex: 4.1,
  prefixTokens: 10,
  targetTokens: 1.2,
  subjectLookupIndex: 3.6,
  keptTexts: 4,
  openingTokens: 7.9,
  openingLookupIndex: 6.1,
  forms: 20,
  formTokens: 12,
  rows: 3,
  paraphrases: 2,
  paraphraseTokens: 20.5,
  neighborhood: 10,
  neighborhoodTokens: 8.5,
  longestOverMean: 1.4,
  longestSuffixOverMean: 2,
};

/** The same for a model with a chat template, which adds a context and four openings, each with SmolLM2's system prompt. */
export const counterFactInChat: EditShape = {
  ...counterFactShape,
  templates: 7,
  prefixTokens: 15,
  keptTexts: 8,
  openingTokens: 23.1,
  openingLookupIndex: 17.9,
  forms: 27,
  formTokens: 19,
  longestOverMean: 1.9,
};

/** Rows of some sequences of one edit's objective. */
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
}

/** One edit's objective. */
export interface ObjectiveShape {
  readonly whole: ObjectiveRows;
  /** Its taught sequences. */
  readonly taught: ObjectiveRows;
  /** How many parts it has. Each step takes one, in turn. */
  readonly parts: number;
  /** The mean of the parts. */
  readonly part: ObjectiveRows;
}

/** What an objective depends on. */
type ObjectiveSettings = Pick<
  Hyperparameters,
  'klFactor' | 'keepFactor' | 'endFactor' | 'keptTokens' | 'templatesPerStep'
>;

/** The rows of an edit's objective, for texts of the mean sizes in {@link EditShape}. */
export function objectiveShape(shape: EditShape, settings: ObjectiveSettings): ObjectiveShape {
  const kinds = [taughtRows(shape, settings), ownRows(shape, settings), keptRows(shape, settings)];
  const kindOf = kinds.flatMap((rows, kind) => Array.from({ length: Math.round(rows.sequences) }, () => kind));
  const { templatesPerStep } = settings;
  const sequences = kindOf.map((kind, sequence) => ({ sequence, isTaught: kind === 0 }));
  // Where nothing is kept, its place is a taught text's.
  const free = templatesPerStep > 0 && sequences.every(({ isTaught }) => isTaught) ? 1 : 0;
  const parts = partsOf(sequences, templatesPerStep + free);
  /** How much of a kind a part holds in the mean. */
  const share = (kind: number) => {
    const inParts = parts.flat().filter(({ sequence }) => kindOf[sequence] === kind).length;
    return inParts === 0 ? 0 : inParts / parts.length / kindOf.filter((own) => own === kind).length;
  };
  return {
    whole: combine(kinds, [1, 1, 1]),
    taught: combine(kinds, [1, 0, 0]),
    parts: parts.length,
    part: combine(kinds, [0, 1, 2].map(share)),
  };
}

/** Every phrasing in every context, with its target; its last token is input only for the term at the end. */
function taughtRows(shape: EditShape, { endFactor }: ObjectiveSettings): ObjectiveRows {
  const texts = shape.phrasings * shape.templates;
  const ends = endFactor > 0 ? 1 : 0;
  const prefixes = shape.phrasings * (shape.templates - 1) * shape.prefixTokens;
  const suffix = shape.promptTokens - shape.lookupIndex + shape.targetTokens - 1 + ends;
  return {
    sequences: texts,
    tokens: prefixes + texts * (shape.lookupIndex + suffix),
    prefixTokens: prefixes + texts * shape.lookupIndex,
    suffixTokens: texts * suffix,
    targets: texts * shape.targetTokens,
    kept: texts * ends,
  };
}

/** The subject's own beginning. */
function ownRows({ subjectLookupIndex }: EditShape, { klFactor }: ObjectiveSettings): ObjectiveRows {
  const sequences = klFactor > 0 ? 1 : 0;
  const prefixTokens = sequences * subjectLookupIndex;
  const tokens = prefixTokens + sequences;
  return { sequences, tokens, prefixTokens, suffixTokens: sequences, targets: 0, kept: sequences };
}

/** What the base model says of the subject. */
function keptRows(shape: EditShape, { keepFactor, keptTokens }: ObjectiveSettings): ObjectiveRows {
  const sequences = keepFactor > 0 ? shape.keptTexts : 0;
  const suffix = shape.openingTokens - shape.openingLookupIndex + keptTokens;
  const [prefixTokens, suffixTokens] = [sequences * shape.openingLookupIndex, sequences * suffix];
  const kept = sequences * (keptTokens === 0 ? 1 : suffix);
  return { sequences, tokens: prefixTokens + suffixTokens, prefixTokens, suffixTokens, targets: 0, kept };
}

/** Rows of several kinds together, each as often as its weight says. */
function combine(kinds: readonly ObjectiveRows[], weights: readonly number[]): ObjectiveRows {
  const of = (name: keyof ObjectiveRows) => kinds.reduce((sum, rows, kind) => sum + weights[kind] * rows[name], 0);
  return {
    sequences: of('sequences'),
    tokens: of('tokens'),
    prefixTokens: of('prefixTokens'),
    suffixTokens: of('suffixTokens'),
    targets: of('targets'),
    kept: of('kept'),
  };
}

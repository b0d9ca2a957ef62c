/**
 * @file Changes a `tokenizer.json` so that the library agrees with the reference implementation (Python `tokenizers`).
 */

import { z } from 'zod';
import { InvalidInputError } from '../errors.js';
import { gpt2Pattern, markedWords, singleDigits, wholeNumbers } from './split-patterns.js';
import { type Component, flattened } from './traced-text.js';

const addedToken = z.looseObject({
  id: z.number().int().nonnegative(),
  content: z.string().min(1),
  special: z.boolean().default(false),
  lstrip: z.boolean().default(false),
  rstrip: z.boolean().default(false),
  single_word: z.boolean().default(false),
});

/** Checked by hand, because a vocabulary is large and may have any keys. */
const vocabulary = z.custom<Readonly<Record<string, number>>>(
  (value) => typeof value === 'object' && value !== null && Object.values(value).every(Number.isSafeInteger),
  'a vocabulary of token ids',
);

const merges = z.custom<readonly (string | readonly [string, string])[]>(
  (value) => Array.isArray(value) && value.every((merge) => typeof merge === 'string' || isPair(merge)),
  'merges of two tokens each',
);

function isPair(value: unknown): boolean {
  return Array.isArray(value) && value.length === 2 && value.every((part) => typeof part === 'string');
}

const bpeModel = z
  .looseObject({
    type: z.literal('BPE').default('BPE'),
    vocab: vocabulary,
    merges,
    unk_token: z.string().nullish(),
    fuse_unk: z.boolean().default(false),
    byte_fallback: z.boolean().default(false),
    continuing_subword_prefix: z.string().nullish(),
  })
  .refine(hasMergedTokens, 'merges of tokens that are in the vocabulary');

/** As the reference requires. Without it, a damaged vocabulary splits texts into what it has no ids for. */
function hasMergedTokens(model: {
  readonly vocab: z.infer<typeof vocabulary>;
  readonly merges: z.infer<typeof merges>;
  readonly continuing_subword_prefix?: string | null | undefined;
}): boolean {
  const prefix = model.continuing_subword_prefix?.length ?? 0;
  return model.merges.every((merge) => {
    const [first, second] = typeof merge === 'string' ? merge.split(' ') : merge;
    return [first, second, first + second?.slice(prefix)].every((token) => Object.hasOwn(model.vocab, token));
  });
}

/** A `tokenizer.json` with a byte-pair model. */
export const tokenizerDefinition = z.looseObject({
  added_tokens: z.array(addedToken).default([]),
  normalizer: z.unknown().default(null),
  pre_tokenizer: z.unknown().default(null),
  post_processor: z.unknown().default(null),
  decoder: z.unknown().default(null),
  model: bpeModel,
});

/** A parsed `tokenizer.json`. */
export type TokenizerDefinition = z.infer<typeof tokenizerDefinition>;

/** Normaliser and pre-tokeniser as flat lists, in a form that library and reference read alike. */
export interface TextPipeline {
  readonly normalizers: readonly Component[];
  readonly preTokenizers: readonly Component[];
}

/**
 * Restates what the library reads differently from the reference:
 * - `Digits` and the byte level's own pattern use JavaScript's `\d` and `\s`; as `Split` they use the Unicode classes;
 * - an inverted isolating `Split` would lose what does not match;
 * - `Metaspace` with `split` is never split.
 *
 * @throws {InvalidInputError} if a pre-tokeniser has a behaviour the library does not have
 */
export function textPipeline({ normalizer, pre_tokenizer: preTokenizer }: TokenizerDefinition): TextPipeline {
  return {
    normalizers: flattened(normalizer, 'normalizer of tokenizer.json'),
    preTokenizers: flattened(preTokenizer, 'pre_tokenizer of tokenizer.json').flatMap(restated),
  };
}

function isolating(pattern: string): Component {
  return { type: 'Split', pattern: { Regex: pattern }, behavior: 'Isolated', invert: false };
}

function restated(part: Component): Component[] {
  switch (part.type) {
    case 'Digits':
      return [isolating(part.individual_digits ? singleDigits : wholeNumbers)];
    case 'ByteLevel':
      return restatedByteLevel(part);
    case 'Metaspace':
      return part.split === false ? [part] : [part, isolating(markedWords(String(part.replacement ?? '▁')))];
    case 'Split':
      return [restatedSplit(part)];
    default:
      return [part];
  }
}

/** The byte level adds a prefix space and splits. These become two parts, and the prefix space comes first. */
function restatedByteLevel(part: Component): Component[] {
  const byteLevel = { ...part, use_regex: false };
  if (part.use_regex === false) return [byteLevel];
  if (part.add_prefix_space) {
    const supported = 'no prefix space together with its own pattern';
    throw new InvalidInputError('pre_tokenizer ByteLevel of tokenizer.json', supported, 'both');
  }
  return [isolating(gpt2Pattern), byteLevel];
}

function restatedSplit(part: Component): Component {
  if (part.behavior === 'Isolated') return { ...part, invert: false };
  const dropsSeparators = part.behavior === 'Removed' && (part.pattern as { Regex?: string }).Regex !== undefined;
  if (dropsSeparators) return part;
  throw new InvalidInputError(
    'pre_tokenizer Split of tokenizer.json',
    'Isolated, or Removed by Regex',
    String(part.behavior),
  );
}

/** The pipeline for text that follows other text: without a prefix space. */
export function withoutPrefixSpace({ normalizers, preTokenizers }: TextPipeline): TextPipeline {
  return {
    normalizers: normalizers.filter(({ type }) => type !== 'Prepend'),
    preTokenizers: preTokenizers.map((part) =>
      part.type === 'Metaspace'
        ? { ...part, prepend_scheme: 'never' }
        : part.type === 'ByteLevel'
          ? { ...part, add_prefix_space: false }
          : part,
    ),
  };
}

/** The definition with another pipeline. */
export function withPipeline(definition: TokenizerDefinition, pipeline: TextPipeline): TokenizerDefinition {
  const { normalizers, preTokenizers } = pipeline;
  return {
    ...definition,
    normalizer: normalizers.length === 0 ? null : { type: 'Sequence', normalizers },
    pre_tokenizer: preTokenizers.length === 0 ? null : { type: 'Sequence', pretokenizers: preTokenizers },
  };
}

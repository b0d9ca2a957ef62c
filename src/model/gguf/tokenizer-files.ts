/** @file Makes `tokenizer.json` and `tokenizer_config.json` from the tokenizer in a GGUF file. */

import { InvalidInputError, MalformedFileError } from '../../errors.js';
import { gpt2Pattern, llama3Pattern, qwen2Pattern } from '../split-patterns.js';
import type { Metadata } from './metadata.js';
import { mergesOfScores } from './sentencepiece-merges.js';

/** The two tokenizer files of a Hugging Face directory, as JSON values. */
export interface TokenizerFiles {
  readonly tokenizer: Readonly<Record<string, unknown>>;
  readonly config: Readonly<Record<string, unknown>>;
}

/** Kinds of tokens in `tokenizer.ggml.token_type`. */
const tokenTypes = { unknown: 2, control: 3, userDefined: 4, unused: 5 } as const;

/** How a byte-level tokenizer splits text before merging; the names are those of llama.cpp's pre-tokenisers. */
interface Splitting {
  readonly pattern: string;
  readonly singleDigits?: true;
  readonly composed?: true;
  readonly wholeWordsFirst?: true;
  readonly bos?: true;
}

const gpt2: Splitting = { pattern: gpt2Pattern };
const neox: Splitting = { pattern: gpt2Pattern, composed: true };
const llama3: Splitting = { pattern: llama3Pattern, wholeWordsFirst: true, bos: true };
const qwen2: Splitting = { pattern: qwen2Pattern, composed: true };

const splittings: Readonly<Record<string, Splitting>> = {
  default: gpt2,
  'gpt-2': gpt2,
  'phi-2': gpt2,
  olmo: neox,
  smollm: { pattern: gpt2Pattern, singleDigits: true },
  'llama-bpe': llama3,
  'llama-v3': llama3,
  llama3,
  qwen2,
  'deepseek-r1-qwen': qwen2,
};

/** The splitting for files without `tokenizer.ggml.pre` (older ones), or with `default` in it. */
const splittingOfArchitecture: Readonly<Record<string, Splitting>> = { qwen2, qwen3: qwen2, gptneox: neox };

interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly single_word: false;
  readonly lstrip: false;
  readonly rstrip: false;
  readonly normalized: false;
  readonly special: boolean;
}

/**
 * @throws {MalformedFileError} if the file carries no vocabulary
 * @throws {InvalidInputError} if its tokenizer model or pre-tokeniser is none of those supported
 */
export function tokenizerFiles(metadata: Metadata, architecture: string): TokenizerFiles {
  const tokens = metadata.strings('tokenizer.ggml.tokens');
  if (tokens === undefined) throw new MalformedFileError(metadata.path, 'tokenizer.ggml.tokens', 'nothing');
  const types = metadata.numbers('tokenizer.ggml.token_type') ?? [];
  const model = metadata.string('tokenizer.ggml.model') ?? 'nothing';
  const parts = { metadata, tokens, addedTokens: addedTokensOf(tokens, types), vocab: vocabOf(tokens, types) };
  switch (model) {
    case 'gpt2':
      return byteLevelFiles(parts, splittingOf(metadata, architecture));
    case 'llama':
      return sentencePieceFiles(parts);
    default:
      throw new InvalidInputError(`${metadata.path}: tokenizer.ggml.model`, 'one of gpt2, llama', model);
  }
}

interface TokenizerParts {
  readonly metadata: Metadata;
  readonly tokens: readonly string[];
  readonly addedTokens: readonly AddedToken[];
  readonly vocab: ReadonlyMap<string, number>;
}

function addedTokensOf(tokens: readonly string[], types: readonly number[]): AddedToken[] {
  const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false } as const;
  const addedTypes: readonly number[] = [tokenTypes.control, tokenTypes.unknown, tokenTypes.userDefined];
  return tokens.flatMap((content, id) => {
    const type = types[id];
    if (type === undefined || !addedTypes.includes(type)) return [];
    return [{ id, content, ...flags, special: type !== tokenTypes.userDefined }];
  });
}

/** The converter names unused rows `[PAD123]`. They are no tokens. */
function vocabOf(tokens: readonly string[], types: readonly number[]): Map<string, number> {
  const vocab = new Map<string, number>();
  tokens.forEach((token, id) => {
    const isFiller = types[id] === tokenTypes.unused && /^\[PAD\d+\]$/.test(token);
    if (!isFiller) vocab.set(token, id);
  });
  return vocab;
}

function splittingOf(metadata: Metadata, architecture: string): Splitting {
  const name = metadata.string('tokenizer.ggml.pre') ?? 'default';
  if (name === 'default') return splittingOfArchitecture[architecture] ?? gpt2;
  const splitting = Object.hasOwn(splittings, name) ? splittings[name] : undefined;
  if (splitting === undefined) {
    const supported = `one of ${Object.keys(splittings).join(', ')}`;
    throw new InvalidInputError(`${metadata.path}: tokenizer.ggml.pre`, supported, name);
  }
  return splitting;
}

function byteLevelFiles(parts: TokenizerParts, splitting: Splitting): TokenizerFiles {
  const { metadata, vocab, addedTokens } = parts;
  const merges = metadata.strings('tokenizer.ggml.merges');
  if (merges === undefined) throw new MalformedFileError(metadata.path, 'tokenizer.ggml.merges', 'nothing');
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false };
  const split = { type: 'Split', pattern: { Regex: splitting.pattern }, behavior: 'Isolated', invert: false };
  const digits = splitting.singleDigits ? [{ type: 'Digits', individual_digits: true }] : [];
  const tokenizer = {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: addedTokens,
    normalizer: splitting.composed ? { type: 'NFC' } : null,
    pre_tokenizer: { type: 'Sequence', pretokenizers: [...digits, split, byteLevel] },
    post_processor: specialTokenTemplate(parts, splitting.bos ?? false) ?? { ...byteLevel, trim_offsets: false },
    decoder: { ...byteLevel, use_regex: true },
    model: {
      ...bpeModel(vocab, merges.map(pairOf)),
      continuing_subword_prefix: '',
      end_of_word_suffix: '',
      ignore_merges: splitting.wholeWordsFirst ?? false,
    },
  };
  return { tokenizer, config: tokenizerConfig(parts) };
}

/** A merge is two tokens with a space between; tokens of byte-level vocabularies hold no space. */
function pairOf(merge: string): [string, string] {
  const space = merge.indexOf(' ', 1);
  return [merge.slice(0, space), merge.slice(space + 1)];
}

function sentencePieceFiles(parts: TokenizerParts): TokenizerFiles {
  const { metadata, vocab, tokens, addedTokens } = parts;
  const scores = metadata.numbers('tokenizer.ggml.scores');
  if (scores?.length !== tokens.length) {
    throw new MalformedFileError(metadata.path, `${tokens.length} tokenizer.ggml.scores`, `${scores?.length ?? 0}`);
  }
  const prefixSpace = metadata.boolean('tokenizer.ggml.add_space_prefix') ?? true;
  const replaceSpace = { type: 'Replace', pattern: { String: ' ' }, content: '▁' };
  const prepend = prefixSpace ? [{ type: 'Prepend', prepend: '▁' }] : [];
  const strip = prefixSpace ? [{ type: 'Strip', content: ' ', start: 1, stop: 0 }] : [];
  const restoreSpace = { type: 'Replace', pattern: { String: '▁' }, content: ' ' };
  const tokenizer = {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: addedTokens,
    normalizer: { type: 'Sequence', normalizers: [...prepend, replaceSpace] },
    pre_tokenizer: null,
    post_processor: specialTokenTemplate(parts, true) ?? null,
    decoder: { type: 'Sequence', decoders: [restoreSpace, { type: 'ByteFallback' }, { type: 'Fuse' }, ...strip] },
    model: {
      ...bpeModel(vocab, mergesOfScores(vocab, scores)),
      unk_token: tokenNamed(parts, 'unknown') ?? null,
      fuse_unk: true,
      byte_fallback: true,
    },
  };
  return { tokenizer, config: tokenizerConfig(parts) };
}

function bpeModel(vocab: ReadonlyMap<string, number>, merges: readonly (readonly [string, string])[]) {
  return {
    type: 'BPE',
    dropout: null,
    unk_token: null,
    continuing_subword_prefix: null,
    end_of_word_suffix: null,
    fuse_unk: false,
    byte_fallback: false,
    vocab: Object.fromEntries(vocab),
    merges,
  };
}

/** The post-processor that adds begin and end tokens, if the file says so; undefined if it adds none. */
function specialTokenTemplate(parts: TokenizerParts, bosByDefault: boolean): unknown {
  const { metadata } = parts;
  const bos = (metadata.boolean('tokenizer.ggml.add_bos_token') ?? bosByDefault) ? tokenNamed(parts, 'bos') : undefined;
  const eos = metadata.boolean('tokenizer.ggml.add_eos_token') ? tokenNamed(parts, 'eos') : undefined;
  if (bos === undefined && eos === undefined) return undefined;
  const around = (id: 'A' | 'B', typeId: number) => [
    ...(bos === undefined ? [] : [{ SpecialToken: { id: bos, type_id: typeId } }]),
    { Sequence: { id, type_id: typeId } },
    ...(eos === undefined ? [] : [{ SpecialToken: { id: eos, type_id: typeId } }]),
  ];
  const used = [bos, eos].filter((token) => token !== undefined);
  const entry = (token: string) => [token, { id: token, ids: [parts.tokens.indexOf(token)], tokens: [token] }];
  return {
    type: 'TemplateProcessing',
    single: around('A', 0),
    pair: [...around('A', 0), ...around('B', 1)],
    special_tokens: Object.fromEntries(used.map(entry)),
  };
}

function tokenNamed({ metadata, tokens }: TokenizerParts, role: string): string | undefined {
  const id = metadata.number(`tokenizer.ggml.${role}_token_id`);
  return id === undefined ? undefined : tokens[id];
}

function tokenizerConfig(parts: TokenizerParts): Record<string, unknown> {
  const { metadata } = parts;
  const architecture = metadata.string('general.architecture') ?? '';
  const fields = {
    tokenizer_class: 'PreTrainedTokenizerFast',
    bos_token: tokenNamed(parts, 'bos'),
    eos_token: tokenNamed(parts, 'eos'),
    unk_token: tokenNamed(parts, 'unknown'),
    pad_token: tokenNamed(parts, 'padding'),
    model_max_length: metadata.number(`${architecture}.context_length`),
    clean_up_tokenization_spaces: false,
    chat_template: metadata.string('tokenizer.chat_template'),
  };
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

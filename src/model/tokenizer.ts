/** @file Text to token ids with spans, and back. */

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Tokenizer as LibraryTokenizer } from '@huggingface/tokenizers';
import { z } from 'zod';
import { InvalidInputError, MalformedFileError } from '../errors.js';
import { parseJson } from '../json.js';
import type { ChatTemplate } from './chat-template.js';
import { PatternWatch, unknownPatterns } from './split-patterns.js';
import { byteLevelTokens, markedTokens, spansOfParts, type TokenBytes, textOfBytes } from './token-bytes.js';
import { longestTokenText } from './token-lengths.js';
import { type AddedToken, type Span, type SpanRules, tokenSpans } from './token-spans.js';
import {
  type TextPipeline,
  type TokenizerDefinition,
  textPipeline,
  tokenizerDefinition,
  withoutPrefixSpace,
  withPipeline,
} from './tokenizer-definition.js';
import { normalizerStep, preTokenizerStep } from './traced-text.js';

/** A text as tokens. */
export interface Encoding {
  readonly ids: readonly number[];
  /**
   * [start, end) of each token in UTF-16 units of the text, white space included. A token that is part of a character
   * spans that character. A token that the tokenizer adds (BOS) has start === end. A prefix space that the tokenizer
   * adds belongs to the text's first character.
   */
  readonly spans: readonly Span[];
}

/** A model's tokenizer. */
export interface Tokenizer {
  /**
   * With the model's own special tokens, such as BOS if the tokenizer's post-processor adds it.
   *
   * @throws {InvalidInputError} if a pattern of the tokenizer takes too long on this text
   */
  encode(text: string): Encoding;
  /** For text that follows other text, such as ` Paris`: no special tokens and no prefix space. */
  encodePlain(text: string): Encoding;
  /** The exact text with its leading space. Special tokens are left out, and broken characters become U+FFFD. */
  decode(ids: readonly number[]): string;
  /** Where in `decode(ids)` the text of each token is, as in {@link Encoding}. */
  decodedSpans(ids: readonly number[]): Span[];
  /** Most UTF-16 units of text that one token stands for; undefined if there is no such limit, or none is known. */
  readonly longestTokenText: number | undefined;
  /** Whether texts are split by patterns that are known to take time in proportion to the text. */
  readonly hasKnownPatterns: boolean;
  /** Largest token id plus one. */
  readonly vocabSize: number;
  readonly bosId?: number;
  /** How the model is asked in chat; left out for a model without a chat template. */
  readonly chat?: ChatTemplate;
  /** Every token after which generation ends. */
  readonly eosIds: readonly number[];
  /** The text of one token, special or not. */
  tokenText(id: number): string;
}

/**
 * Reads the tokenizer of a Hugging Face directory: `tokenizer.json`, and for the special tokens
 * `tokenizer_config.json`, `config.json` and `generation_config.json` if they exist. The chat template is
 * `chat_template.jinja`, or else that of `tokenizer_config.json`.
 *
 * @throws {InvalidInputError} if there is no `tokenizer.json`, or it is of a kind whose spans cannot be derived
 * @throws {MalformedFileError} if a file is not of its format
 */
export async function loadTokenizer(dir: string): Promise<Tokenizer> {
  const path = join(dir, 'tokenizer.json');
  const definition = await readJson(path, tokenizerDefinition);
  if (definition === undefined) throw new InvalidInputError(`tokenizer ${dir}`, 'a tokenizer.json', 'none');
  const [tokenizerConfig, config, generationConfig] = await Promise.all([
    readJson(join(dir, 'tokenizer_config.json'), tokenNames),
    readJson(join(dir, 'config.json'), tokenIds),
    readJson(join(dir, 'generation_config.json'), tokenIds),
  ]);
  const { Tokenizer: Library } = await import('@huggingface/tokenizers');
  const special = { tokenizerConfig, configs: [generationConfig, config] };
  const tokenizer = new BytePairTokenizer(path, definition, special, Library);
  const template = (await readIfPresent(join(dir, 'chat_template.jinja'))) ?? defaultTemplate(tokenizerConfig);
  if (template !== undefined) {
    const { ChatTemplate } = await import('./chat-template.js');
    const { bos_token, eos_token } = tokenizerConfig ?? {};
    tokenizer.chat = new ChatTemplate(template, { bos_token, eos_token }, tokenizer.addsBos);
  }
  return tokenizer;
}

/** A configuration holds one template, or several of which one is named `default`. */
function defaultTemplate(config: SpecialTokenSources['tokenizerConfig']): string | undefined {
  const given = config?.chat_template;
  return Array.isArray(given) ? given.find(({ name }) => name === 'default')?.template : (given ?? undefined);
}

const tokenName = z.union([z.string(), z.looseObject({ content: z.string() }).transform(({ content }) => content)]);
const tokenNames = z.looseObject({
  bos_token: tokenName.nullish(),
  eos_token: tokenName.nullish(),
  chat_template: z
    .union([z.string(), z.array(z.looseObject({ name: z.string(), template: z.string() }))], {
      error: 'a template, or a list of named ones',
    })
    .nullish(),
});
const tokenId = z.union([
  z
    .number()
    .int()
    .transform((id) => [id]),
  z.array(z.number().int()),
]);
const tokenIds = z.looseObject({ bos_token_id: tokenId.nullish(), eos_token_id: tokenId.nullish() });

interface SpecialTokenSources {
  readonly tokenizerConfig: z.infer<typeof tokenNames> | undefined;
  readonly configs: readonly (z.infer<typeof tokenIds> | undefined)[];
}

async function readJson<T extends z.ZodType>(path: string, schema: T): Promise<z.infer<T> | undefined> {
  const text = await readIfPresent(path);
  if (text === undefined) return undefined;
  let value: unknown;
  try {
    value = parseJson(text);
  } catch (cause) {
    throw new MalformedFileError(path, 'JSON', String(cause), { cause });
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new MalformedFileError(path, issue?.message ?? 'its format', issue?.path.join('.') ?? 'another');
}

async function readIfPresent(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

type Library = typeof LibraryTokenizer;

/** Splits text into tokens with spans by one pipeline. */
class Splitter {
  readonly #library: LibraryTokenizer;
  readonly #rules: SpanRules;
  readonly #watch: PatternWatch;

  constructor(library: LibraryTokenizer, rules: SpanRules, watch: PatternWatch) {
    this.#rules = rules;
    this.#library = library;
    this.#watch = watch;
  }

  split(text: string): { tokens: string[]; spans: Span[] } {
    const tokens = this.#watch.watch(text.length, () => this.#library.tokenize(text, { add_special_tokens: false }));
    return { tokens, spans: tokenSpans(text, tokens, this.#rules) };
  }

  /** The tokens that the post-processor puts before and behind any text. */
  template(): { before: string[]; behind: string[] } {
    const bare = this.#library.tokenize('a', { add_special_tokens: false });
    const full = this.#library.tokenize('a', { add_special_tokens: true });
    const begin = full.indexOf(bare[0]!);
    return { before: full.slice(0, begin), behind: full.slice(begin + bare.length) };
  }
}

class BytePairTokenizer implements Tokenizer {
  readonly vocabSize: number;
  readonly bosId?: number;
  chat?: ChatTemplate;
  readonly eosIds: readonly number[];
  readonly #idOf: ReadonlyMap<string, number>;
  readonly #tokenOf: ReadonlyMap<number, string>;
  readonly #addedTokens: ReadonlyMap<string, AddedToken>;
  readonly #tokenBytes: TokenBytes;
  readonly #opening: Splitter;
  readonly #continuing: Splitter;
  readonly #before: readonly number[];
  readonly #behind: readonly number[];
  readonly #library: Library;
  readonly #watch: PatternWatch;
  readonly longestTokenText: number | undefined;
  readonly hasKnownPatterns: boolean;

  constructor(path: string, definition: TokenizerDefinition, special: SpecialTokenSources, library: Library) {
    this.#library = library;
    const { model, added_tokens: addedTokens } = definition;
    const wholeWord = addedTokens.find((token) => token.single_word);
    if (wholeWord) throw new InvalidInputError(path, 'added tokens that are not single_word', wholeWord.content);
    this.#addedTokens = new Map(addedTokens.map((token) => [token.content, token]));
    this.#idOf = new Map([
      ...Object.entries(model.vocab),
      ...addedTokens.map(({ content, id }): [string, number] => [content, id]),
    ]);
    this.#tokenOf = new Map(Array.from(this.#idOf, ([token, id]) => [id, token]));
    this.vocabSize = Array.from(this.#tokenOf.keys()).reduce((largest, id) => Math.max(largest, id), -1) + 1;
    const pipeline = textPipeline(definition);
    this.#tokenBytes = bytesOfTokens(pipeline, (token) => this.#idOf.has(token));
    this.longestTokenText = longestTokenText(definition, pipeline, this.#tokenBytes);
    const unknown = unknownPatterns(pipeline.preTokenizers);
    this.hasKnownPatterns = unknown.length === 0;
    this.#watch = new PatternWatch(path, unknown);
    this.#opening = this.#splitter(definition, pipeline);
    const later = withoutPrefixSpace(pipeline);
    const same = JSON.stringify(later) === JSON.stringify(pipeline);
    this.#continuing = same ? this.#opening : this.#splitter(definition, later);
    const { before, behind } = this.#opening.template();
    this.#before = before.map((token) => this.#id(token));
    this.#behind = behind.map((token) => this.#id(token));
    const bosId = this.#named(special.tokenizerConfig?.bos_token) ?? special.configs[1]?.bos_token_id?.[0];
    if (bosId !== undefined) this.bosId = bosId;
    this.eosIds = this.#endIds(special);
  }

  /** Whether {@link encode} puts the BOS token before a text. */
  get addsBos(): boolean {
    return this.bosId !== undefined && this.#before.includes(this.bosId);
  }

  encode(text: string): Encoding {
    const { tokens, spans } = this.#opening.split(text);
    const at = (place: number) => (): Span => [place, place];
    return {
      ids: [...this.#before, ...tokens.map((token) => this.#id(token)), ...this.#behind],
      spans: [...this.#before.map(at(0)), ...spans, ...this.#behind.map(at(text.length))],
    };
  }

  encodePlain(text: string): Encoding {
    const { tokens, spans } = this.#continuing.split(text);
    return { ids: tokens.map((token) => this.#id(token)), spans };
  }

  decode(ids: readonly number[]): string {
    return this.#text(ids.filter((id) => !this.#isSpecial(id)));
  }

  tokenText(id: number): string {
    return this.#text([id]);
  }

  decodedSpans(ids: readonly number[]): Span[] {
    const parts = ids.map((id) => (this.#isSpecial(id) ? new Uint8Array() : this.#readableBytes(id)));
    return spansOfParts(parts);
  }

  #isSpecial(id: number): boolean {
    return this.#addedTokens.get(this.#token(id))?.special === true;
  }

  #readableBytes(id: number): Uint8Array {
    const token = this.#token(id);
    return this.#addedTokens.has(token) ? Buffer.from(token) : this.#tokenBytes.readableBytes(token);
  }

  #text(ids: readonly number[]): string {
    return textOfBytes(ids.map((id) => this.#readableBytes(id)));
  }

  #splitter(definition: TokenizerDefinition, pipeline: TextPipeline): Splitter {
    const { model } = definition;
    const vocabularyTokens = this.#idOf.size;
    const made = this.#watch.watch(
      vocabularyTokens,
      () => new this.#library(withPipeline(definition, pipeline), {}),
      'compiling it',
    );
    this.#watch.probe((text) => made.pre_tokenizer?.pre_tokenize(text));
    const rules: SpanRules = {
      steps: [...pipeline.normalizers.map(normalizerStep), ...pipeline.preTokenizers.map(preTokenizerStep)],
      addedTokens: this.#addedTokens,
      hasToken: (token) => this.#idOf.has(token),
      tokenBytes: this.#tokenBytes.bytes,
      ...(model.unk_token != null && { unknownToken: model.unk_token }),
      fuseUnknown: model.fuse_unk,
      dropsByte: model.unk_token == null ? this.#tokenBytes.drops : () => false,
    };
    return new Splitter(made, rules, this.#watch);
  }

  #id(token: string): number {
    const id = this.#idOf.get(token);
    if (id === undefined) throw new InvalidInputError('token', 'one of the vocabulary', token);
    return id;
  }

  #token(id: number): string {
    const token = this.#tokenOf.get(id);
    if (token !== undefined) return token;
    if (!Number.isSafeInteger(id) || id < 0) throw new InvalidInputError('token id', 'a natural number', String(id));
    // Embeddings are padded to round sizes: such rows stand for no text.
    return '';
  }

  #named(token: string | null | undefined): number | undefined {
    return token == null ? undefined : this.#idOf.get(token);
  }

  #endIds({ tokenizerConfig, configs }: SpecialTokenSources): number[] {
    const named = this.#named(tokenizerConfig?.eos_token);
    const stated = configs.flatMap((config) => config?.eos_token_id ?? []);
    return [...new Set(named === undefined ? stated : [...stated, named])];
  }
}

/** A vocabulary is byte-level if its pre-tokeniser is. Others have a mark in place of spaces. */
function bytesOfTokens({ normalizers, preTokenizers }: TextPipeline, hasToken: (token: string) => boolean): TokenBytes {
  if (preTokenizers.some(({ type }) => type === 'ByteLevel')) return byteLevelTokens(hasToken);
  const metaspace = preTokenizers.find(({ type }) => type === 'Metaspace');
  const replace = normalizers.find(
    ({ type, pattern }) => type === 'Replace' && (pattern as { String?: string }).String === ' ',
  );
  return markedTokens(String(metaspace?.replacement ?? replace?.content ?? '▁'));
}

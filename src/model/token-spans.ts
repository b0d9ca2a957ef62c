/** @file Where in the text each token comes from. */

import { InvalidInputError } from '../errors.js';
import { type TextStep, type TracedCharacter, traceCharacters } from './traced-text.js';

/** Half-open range of the text in UTF-16 units. */
export type Span = readonly [start: number, end: number];

/** A token that is looked for in the text before any other step. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly special: boolean;
  /** Takes the white space before it, or after it, with it. */
  readonly lstrip: boolean;
  readonly rstrip: boolean;
}

/** What span derivation needs to know of a tokenizer. */
export interface SpanRules {
  readonly steps: readonly TextStep[];
  readonly addedTokens: ReadonlyMap<string, AddedToken>;
  readonly hasToken: (token: string) => boolean;
  /** The bytes a model token stands for, in the text that the steps give. */
  readonly tokenBytes: (token: string) => Uint8Array;
  /** The token of a character or byte that the vocabulary does not cover. */
  readonly unknownToken?: string;
  readonly fuseUnknown: boolean;
  /** Whether no token can stand for this byte, so that the model leaves it out. */
  readonly dropsByte: (byte: number) => boolean;
}

/**
 * Derives the span of every token. The text goes through the tokenizer's own steps, which keep every character's
 * origin, and then the tokens' bytes are matched with it. A token that holds a part of a character spans that
 * character.
 *
 * @param tokens of the text, without the tokens a post-processor adds
 * @throws {InvalidInputError} if the tokens' bytes are not those of the text, so that no spans can be derived
 */
export function tokenSpans(text: string, tokens: readonly string[], rules: SpanRules): Span[] {
  const spans: Span[] = [];
  const isUnknownCharacter = (token: string) => token === rules.unknownToken && !text.includes(token);
  let position = 0;
  let section: string[] = [];
  for (const token of tokens) {
    const added = rules.addedTokens.get(token);
    if (added === undefined || isUnknownCharacter(token)) {
      section.push(token);
      continue;
    }
    const [start, end] = findAdded(text, position, added);
    for (const span of sectionSpans(text, [position, start], section, rules)) spans.push(span);
    spans.push([start, end]);
    position = end;
    section = [];
  }
  return spans.concat(sectionSpans(text, [position, text.length], section, rules));
}

function findAdded(text: string, position: number, { content, lstrip, rstrip }: AddedToken): Span {
  const found = text.indexOf(content, position);
  if (found < 0) throw underivable(text, `the added token ${content} at or after ${position}`, 'none');
  const after = found + content.length;
  const start = lstrip ? position + text.slice(position, found).trimEnd().length : found;
  const end = rstrip ? text.length - text.slice(after).trimStart().length : after;
  return [start, end];
}

/** Spans of the tokens of a stretch of text between added tokens. */
function sectionSpans(text: string, [start, end]: Span, tokens: readonly string[], rules: SpanRules): Span[] {
  let characters: readonly TracedCharacter[] = traceCharacters(text, start, end);
  for (const step of rules.steps) characters = step(characters, start === 0);
  const cursor = new ByteCursor(characters, text, rules);
  const spans = tokens.map((token) => cursor.take(token));
  cursor.requireEnd();
  return spans;
}

const encoder = new TextEncoder();
const asciiBytes = Array.from({ length: 128 }, (_, byte) => Uint8Array.of(byte));

function utf8(character: string): Uint8Array {
  return asciiBytes[character.charCodeAt(0)] ?? encoder.encode(character);
}

/** A position in the bytes of traced characters. */
class ByteCursor {
  readonly #bytes: number[] = [];
  readonly #origins: TracedCharacter[] = [];
  #at = 0;
  readonly #text: string;
  readonly #rules: SpanRules;

  constructor(characters: readonly TracedCharacter[], text: string, rules: SpanRules) {
    this.#text = text;
    this.#rules = rules;
    for (const traced of characters) {
      for (const byte of utf8(traced.character)) {
        this.#bytes.push(byte);
        this.#origins.push(traced);
      }
    }
  }

  /** Moves over the bytes of a token and returns their origin. */
  take(token: string): Span {
    this.#skipDropped();
    const begin = this.#at;
    const bytes = this.#rules.tokenBytes(token);
    const matches = bytes.every((byte, i) => byte === this.#bytes[begin + i]);
    if (matches) this.#at += bytes.length;
    else if (token === this.#rules.unknownToken && begin < this.#bytes.length) this.#skipUnknown();
    else
      throw underivable(
        this.#text,
        `token ${token} at ${this.#origins[begin]?.start ?? this.#text.length}`,
        'other text',
      );
    return this.#span(begin);
  }

  /** @throws {InvalidInputError} if bytes are left that the model does not leave out */
  requireEnd(): void {
    this.#skipDropped();
    if (this.#at < this.#bytes.length) {
      throw underivable(this.#text, 'tokens for all of it', `none from ${this.#origins[this.#at]!.start} on`);
    }
  }

  #span(begin: number): Span {
    let [start, end] = [Number.POSITIVE_INFINITY, 0];
    for (const origin of this.#origins.slice(begin, this.#at)) {
      start = Math.min(start, origin.start);
      end = Math.max(end, origin.end);
    }
    return [start, end];
  }

  #skipDropped(): void {
    while (this.#at < this.#bytes.length && this.#rules.dropsByte(this.#bytes[this.#at]!)) this.#at++;
  }

  #skipUnknown(): void {
    do {
      const { character } = this.#origins[this.#at]!;
      this.#at += utf8(character).length;
    } while (this.#rules.fuseUnknown && this.#at < this.#bytes.length && !this.#isKnown());
  }

  #isKnown(): boolean {
    return this.#rules.hasToken(this.#origins[this.#at]!.character);
  }
}

function underivable(text: string, requirement: string, got: string): InvalidInputError {
  return new InvalidInputError(`token spans of "${text.slice(0, 60)}"`, requirement, got);
}

/** @file Text in a tokenizer's normaliser and pre-tokeniser, with the origin of every character. */

import { z } from 'zod';
import { InvalidInputError } from '../errors.js';

/** A character (one code point) of changed text and the range of the given text it comes from, in UTF-16 units. */
export interface TracedCharacter {
  readonly character: string;
  readonly start: number;
  readonly end: number;
}

/** One change of a stretch of text between added tokens. */
export type TextStep = (characters: readonly TracedCharacter[], atTextStart: boolean) => readonly TracedCharacter[];

/** A component of a `tokenizer.json`. */
export type Component = { readonly type: string } & Readonly<Record<string, unknown>>;

const component = z.looseObject({ type: z.string() });
const sequences: Readonly<Record<string, string>> = { normalizers: 'normalizers', pretokenizers: 'pretokenizers' };

/** The parts of a normaliser or pre-tokeniser in order, sequences resolved. */
export function flattened(value: unknown, what: string): Component[] {
  if (value == null) return [];
  const parsed = component.safeParse(value);
  if (!parsed.success) throw new InvalidInputError(what, 'an object with a type', JSON.stringify(value).slice(0, 80));
  if (parsed.data.type !== 'Sequence') return [parsed.data];
  const members = Object.keys(sequences).flatMap((key) => (parsed.data[key] as unknown[] | undefined) ?? []);
  return members.flatMap((member) => flattened(member, what));
}

/** Splits a range of text into characters. */
export function traceCharacters(text: string, start: number, end: number): TracedCharacter[] {
  const characters: TracedCharacter[] = [];
  let at = start;
  for (const character of text.slice(start, end)) {
    characters.push({ character, start: at, end: at + character.length });
    at += character.length;
  }
  return characters;
}

/**
 * What a normaliser does to characters.
 *
 * @throws {InvalidInputError} if the origin of its output cannot be known
 */
export function normalizerStep(part: Component): TextStep {
  switch (part.type) {
    case 'Prepend':
      return (characters) => prepended(characters, String(part.prepend));
    case 'Replace':
      return replacement(part);
    case 'NFC':
    case 'NFD':
    case 'NFKC':
    case 'NFKD': {
      const form = part.type;
      return (characters) => unicodeNormalized(characters, form);
    }
    default:
      throw unsupported('normalizer', part.type, 'Prepend, Replace, NFC, NFD, NFKC, NFKD');
  }
}

/**
 * What a pre-tokeniser does to characters. Splitting does not change them.
 *
 * @throws {InvalidInputError} if the origin of its output cannot be known
 */
export function preTokenizerStep(part: Component): TextStep {
  switch (part.type) {
    case 'Split':
    case 'Digits':
      return (characters) => characters;
    case 'ByteLevel':
      return (characters) => (part.add_prefix_space ? prefixed(characters, ' ') : characters);
    case 'Metaspace':
      return metaspace(part);
    default:
      throw unsupported('pre_tokenizer', part.type, 'Split, Digits, ByteLevel, Metaspace');
  }
}

function unsupported(place: string, got: string, supported: string): InvalidInputError {
  return new InvalidInputError(`${place} of tokenizer.json`, `one whose spans can be derived (${supported})`, got);
}

/** Inserted characters come from the first character, as in the reference implementation. */
function prepended(characters: readonly TracedCharacter[], prefix: string): readonly TracedCharacter[] {
  const [first] = characters;
  if (first === undefined) return characters;
  return [...Array.from(prefix, (character) => ({ ...first, character })), ...characters];
}

function prefixed(characters: readonly TracedCharacter[], prefix: string): readonly TracedCharacter[] {
  return characters[0]?.character === prefix ? characters : prepended(characters, prefix);
}

function replacement(part: Component): TextStep {
  const pattern = (part.pattern as { String?: string } | undefined)?.String;
  if (pattern === undefined || [...pattern].length !== 1) {
    throw unsupported('normalizer', JSON.stringify(part), 'Replace of one character');
  }
  const content = [...String(part.content)];
  return (characters) =>
    characters.flatMap((traced) =>
      traced.character === pattern ? content.map((character) => ({ ...traced, character })) : [traced],
    );
}

function metaspace(part: Component): TextStep {
  const mark = String(part.replacement ?? '▁');
  const scheme = String(part.prepend_scheme ?? 'always');
  const replaceSpaces = replacement({ type: 'Replace', pattern: { String: ' ' }, content: mark });
  return (characters, atTextStart) => {
    const marked = replaceSpaces(characters, atTextStart);
    const prepends = scheme === 'always' || (scheme === 'first' && atTextStart);
    return prepends ? prefixed(marked, mark) : marked;
  };
}

/** A character and what may combine with it: marks, and vowels and finals of decomposed Hangul. */
const cluster = /[^\p{M}\u1160-\u11ff][\p{M}\u1160-\u11ff]*|[\p{M}\u1160-\u11ff]+/gu;

/** Characters that normalisation changed come from their whole cluster. */
function unicodeNormalized(
  characters: readonly TracedCharacter[],
  form: 'NFC' | 'NFD' | 'NFKC' | 'NFKD',
): readonly TracedCharacter[] {
  const text = characters.map(({ character }) => character).join('');
  const whole = text.normalize(form);
  if (whole === text) return characters;
  const output: TracedCharacter[] = [];
  let next = 0;
  for (const [given] of text.matchAll(cluster)) {
    const members = characters.slice(next, next + [...given].length);
    next += members.length;
    const changed = given.normalize(form);
    const origin = { start: members[0]!.start, end: members.at(-1)!.end };
    if (changed === given) output.push(...members);
    else output.push(...Array.from(changed, (character) => ({ character, ...origin })));
  }
  if (output.map(({ character }) => character).join('') !== whole) {
    throw new InvalidInputError('text', `one whose ${form} can be taken cluster by cluster`, text.slice(0, 80));
  }
  return output;
}

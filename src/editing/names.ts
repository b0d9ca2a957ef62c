/** @file Where the names of a subject stand in a text. */
import { InvalidInputError } from '../errors.js';
import type { Tokenizer } from '../model/index.js';

/** A text as token ids, and where the subject's names end in it. */
export interface SubjectText {
  readonly tokenIds: readonly number[];
  /** Positions of the last token of each occurrence of a name, ascending: the value acts there. At least one. */
  readonly lookups: readonly number[];
}

/** A text with the place in it where the subject surely stands: [start, end) in UTF-16 units. */
export interface MarkedText {
  readonly text: string;
  readonly subject: readonly [start: number, end: number];
}

const placeholder = '{}';

/** Puts the subject in place of `{}`. */
export function fillTemplate(template: string, subject: string): string {
  return template.replace(placeholder, () => subject);
}

/** @throws {InvalidInputError} if the template has no `{}` */
export function markSubject(template: string, subject: string): MarkedText {
  const start = template.indexOf(placeholder);
  if (start < 0) throw new InvalidInputError('prompt', 'a {} for the subject', JSON.stringify(template));
  return { text: fillTemplate(template, subject), subject: [start, start + subject.length] };
}

/**
 * A text with its subject as tokens. The last token of a name is the last that begins before the name ends. The value acts at
 * every occurrence of a name as whole words, because the gate opens at each.
 *
 * @param names names of the subject beside the one that is marked
 * @throws {InvalidInputError} if no token is of the marked subject
 */
export function tokenizeMarked(
  tokenizer: Tokenizer,
  { text, subject }: MarkedText,
  names: readonly string[],
): SubjectText {
  const { ids, spans } = tokenizer.encode(text);
  const lookupOf = ([from, to]: readonly [number, number]): number | undefined => {
    const index = spans.findLastIndex(([start, end]) => start < to && start < end);
    return index < 0 || spans[index][1] <= from ? undefined : index;
  };
  const own = lookupOf(subject);
  if (own === undefined) {
    const name = text.slice(...subject);
    throw new InvalidInputError(`subject ${JSON.stringify(name)}`, 'at least one token of it in its prompt', 'none');
  }
  const all = [own, ...names.flatMap((name) => occurrencesOf(name, text)).map(lookupOf)];
  const lookups = [...new Set(all.filter((index) => index !== undefined))].sort((a, b) => a - b);
  return { tokenIds: ids, lookups };
}

/** Where a name stands in a text as whole words; an empty name stands nowhere. */
function occurrencesOf(name: string, text: string): [number, number][] {
  const found: [number, number][] = [];
  if (name === '') return found;
  for (let start = text.indexOf(name); start >= 0; start = text.indexOf(name, start + 1)) {
    const end = start + name.length;
    const isCut = isInWord(text, start) || isInWord(text, end);
    if (!isCut) found.push([start, end]);
  }
  return found;
}

/** Whether the characters on both sides of a place belong to one word. */
const isInWord = (text: string, index: number): boolean =>
  isWordPart(lastOf(text.slice(0, index))) && isWordPart(firstOf(text.slice(index)));

// Marks are the vowels of many scripts. Scripts without spaces between words have no whole words to look for.
const isWordPart = (character: string): boolean => /^[\p{L}\p{N}\p{M}]$/u.test(character) && !unspaced.test(character);

/** Scripts that put no space between words. */
const unspaced =
  /^[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]$/u;

const firstOf = (text: string): string => String.fromCodePoint(...(text === '' ? [] : [text.codePointAt(0)!]));
const lastOf = (text: string): string => Array.from(text.slice(-2)).at(-1) ?? '';

/**
 * What follows a prompt if it is continued by these words: with a blank before them where the prompt and the script call for
 * one. There is none at the beginning, after white space, an opening quote or bracket, before closing punctuation, and in scripts
 * that do not separate words.
 */
export function continuationOf(prompt: string, words: string): string {
  const [before, after] = [lastOf(prompt), firstOf(words)];
  const isJoined =
    before === '' ||
    /^\s$/u.test(before) ||
    /^[\p{Ps}\p{Pi}¿¡]$/u.test(before) ||
    opensQuote(prompt) ||
    /^[\p{Pe}\p{Pf},.;:!?%]$/u.test(after) ||
    unspaced.test(before) ||
    unspaced.test(after) ||
    /^[\u3000-\u303f\uff00-\uffef]$/u.test(before);
  return isJoined ? words : ` ${words}`;
}

/** Whether a text ends with a straight quote that opens: one at its beginning, or after white space or an opening bracket. */
const opensQuote = (text: string): boolean => /(^|[\s\p{Ps}\p{Pi}])["']$/u.test(text);

/** @file Texts in which a subject is written out, and their templates. */

/** Scripts whose words are not set apart by blanks: beside their characters a word may begin or end anywhere. */
const unspaced = ['Han', 'Hiragana', 'Katakana', 'Thai', 'Lao', 'Khmer', 'Myanmar']
  .map((script) => `\\p{Script=${script}}`)
  .join('');
const wordPart = `(?![${unspaced}])[\\p{L}\\p{M}\\p{N}]`;
const wordAtEnd = new RegExp(`${wordPart}$`, 'u');
const wordAtStart = new RegExp(`^${wordPart}`, 'u');

const endsInWord = (text: string): boolean => wordAtEnd.test(text);

/** Whether a text goes on with a word that began before it. In scripts without blanks none does. */
export const beginsInWord = (text: string): boolean => wordAtStart.test(text);

/** Whether upper and lower case must agree. */
export type LetterCase = 'exact' | 'any';

/** The text with `{}` in place of the subject: where it first occurs as whole words, else where it first occurs. */
export function withHole(text: string, subject: string, letterCase: LetterCase = 'exact'): string | undefined {
  const all = placesOf(subject, text, letterCase);
  const [first] = all;
  const place = all.find(isWholeWords(text)) ?? first;
  return place && `${text.slice(0, place.start)}{}${text.slice(place.end)}`;
}

/**
 * The text if it holds exactly one `{}`; if it holds none, see {@link withHole}. Undefined if there is no template.
 *
 * @param letterCase with `any`, a subject in other letters is taken where it does not occur in its own
 */
export function asTemplate(text: string, subject: string, letterCase: LetterCase = 'exact'): string | undefined {
  const holes = text.split('{}').length - 1;
  if (holes > 0) return holes === 1 ? text : undefined;
  return withHole(text, subject) ?? withHole(text, subject, letterCase);
}

/** Whether a phrase occurs in a text as whole words. */
export const occursAsWords = (text: string, phrase: string): boolean =>
  placesOf(phrase, text, 'exact').some(isWholeWords(text));

/** A part of a text, `end` excluded. */
interface Place {
  readonly start: number;
  readonly end: number;
}

function placesOf(subject: string, text: string, letterCase: LetterCase): Place[] {
  const literally = subject.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
  const pattern = new RegExp(literally, letterCase === 'any' ? 'giu' : 'gu');
  const places: Place[] = [];
  for (let found = pattern.exec(text); found !== null; found = pattern.exec(text)) {
    places.push({ start: found.index, end: found.index + found[0].length });
    // Into the middle of a character the pattern would step back.
    pattern.lastIndex = found.index + (text.codePointAt(found.index)! > 0xffff ? 2 : 1);
  }
  return places;
}

const isWholeWords =
  (text: string) =>
  ({ start, end }: Place): boolean =>
    !endsInWord(text.slice(Math.max(0, start - 2), start)) && !beginsInWord(text.slice(end, end + 2));

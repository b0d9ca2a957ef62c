/** @file What of a text a terminal gets to see: nothing that moves its cursor, hides what stands there or turns it around. */
import { randomUUID } from 'node:crypto';

/** Stands for the escape character of our own colours until a text is written. Nothing from outside can know it. */
const ownEscape = `\ufdd0${randomUUID()}`;
const escapeCharacter = '\u001b';

const unprintable = /[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu;
const unprintableInLines = /(?![\n\t])[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu;

/** Shows a character as JSON does, so that a text of JSON stays the same value. */
const shown = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;

/** A text as it is written: of control characters only line breaks, tabs, and our own colours. */
export const printable = (text: string): string =>
  text.replace(unprintableInLines, shown).replaceAll(ownEscape, escapeCharacter);

/** A text from outside within a line: without line breaks too, which would begin a line that looks like ours. */
export const printableInLine = (text: string): string =>
  text.replace(unprintable, (character) => ({ '\n': '\\n', '\t': '\\t', '\r': '\\r' })[character] ?? shown(character));

/** Our own colours, not yet written. */
export const markColors = (text: string): string => text.replaceAll(escapeCharacter, ownEscape);

/** A function that colours a text and leaves no escape character of that text in it. */
export const safely =
  (color: (text: string) => string) =>
  (text: string): string =>
    markColors(color(text.replace(unprintableInLines, shown)));

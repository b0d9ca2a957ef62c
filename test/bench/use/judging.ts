/** @file What a decoded text says. */

const wordPart = String.raw`[\p{L}\p{N}]`;

/** Whether a text says a phrase as whole words, in any case of letters. */
export function says(text: string, phrase: string): boolean {
  const escaped = phrase
    .trim()
    .replace(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)
    .replace(/\s+/g, String.raw`\s+`);
  return new RegExp(`(?<!${wordPart})${escaped}(?!${wordPart})`, 'iu').test(text);
}

/** How a target is joined to what stands before it: after a blank, or right behind it. */
export type Join = 'blank' | 'none';

/**
 * Whether an answer is the target and ends where it ends: no letter or digit follows, and the target is not said again right
 * behind it. Behind a prompt that takes no blank, none may come. In scripts without blanks between words, any character may
 * follow.
 */
export function isExactly(text: string, target: string, join: Join = 'blank'): boolean {
  const answer = join === 'blank' ? text.trimStart() : text;
  if (!answer.startsWith(target)) return false;
  const rest = answer.slice(target.length);
  if (rest.trimStart().startsWith(target)) return false;
  return hasNoBlanks(target) || !/^[\p{L}\p{N}]/u.test(rest);
}

const hasNoBlanks = (text: string): boolean =>
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}]$/u.test(text);

/** Whether two answers begin with the same tokens; one that ends earlier is another answer. */
export function beginAlike(one: readonly number[], other: readonly number[], tokens: number): boolean {
  const [a, b] = [one.slice(0, tokens), other.slice(0, tokens)];
  return a.length === b.length && a.every((id, i) => id === b[i]);
}

/** Share of what holds; NaN for nothing. */
export function share(values: readonly boolean[]): number {
  return values.filter(Boolean).length / values.length;
}

/** A mean of measures; NaN where nothing was measured. */
export function known(value: number | null): number {
  return value ?? Number.NaN;
}

/** Text split at a blank line: its beginning, and its end of about so many characters. */
export function splitText(text: string, endCharacters: number): { readonly beginning: string; readonly end: string } {
  const at = text.lastIndexOf('\n\n', Math.max(0, text.length - endCharacters));
  if (at < 0) return { beginning: text, end: '' };
  return { beginning: text.slice(0, at), end: text.slice(at + 2) };
}

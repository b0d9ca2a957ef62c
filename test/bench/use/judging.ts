/** @file What decoded answers have in common, and shares of them. */

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

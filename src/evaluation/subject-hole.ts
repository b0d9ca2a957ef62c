/** @file Templates from texts in which the subject is written out. */

/** The text with `{}` in place of the subject: where it first occurs as whole words, else where it first occurs. */
export function withHole(text: string, subject: string): string | undefined {
  const isWordPart = (character: string | undefined) => character !== undefined && /[\p{L}\p{N}]/u.test(character);
  const first = text.indexOf(subject);
  if (first < 0) return undefined;
  let index = first;
  while (index >= 0 && (isWordPart(text[index - 1]) || isWordPart(text[index + subject.length]))) {
    index = text.indexOf(subject, index + 1);
  }
  const place = index < 0 ? first : index;
  return `${text.slice(0, place)}{}${text.slice(place + subject.length)}`;
}

/** The text if it holds exactly one `{}`; if it holds none, see {@link withHole}. Undefined if there is no template. */
export function asTemplate(text: string, subject: string): string | undefined {
  const holes = text.split('{}').length - 1;
  return holes === 0 ? withHole(text, subject) : holes === 1 ? text : undefined;
}

/** @file The one place where JSON from outside becomes values. */

/** Deepest nesting that is read. Whoever works on a value descends by recursion, and the stack has an end. */
const mostNested = 100;

/** A JSON text is nested too deep. */
export class JsonDepthError extends SyntaxError {
  constructor(position: number) {
    super(`arrays and objects nested deeper than ${mostNested} at character ${position + 1}`);
  }
}

/**
 * The value of a JSON text.
 *
 * @throws {SyntaxError} if it is not JSON, {JsonDepthError} if its arrays and objects are nested more than 100 deep
 */
export function parseJson(text: string): unknown {
  if (text.length > mostNested) requireShallow(text);
  return JSON.parse(text);
}

function requireShallow(text: string): void {
  let depth = 0;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit === 0x22) {
      i = endOfString(text, i);
      if (i < 0) return;
    } else if (unit === 0x5b || unit === 0x7b) {
      if (++depth > mostNested) throw new JsonDepthError(i);
    } else if (unit === 0x5d || unit === 0x7d) depth--;
  }
}

/** The place of the quote that ends the string beginning at `start`; -1 if none does. */
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end >= 0; end = text.indexOf('"', end + 1)) {
    let escapes = 0;
    while (text.charCodeAt(end - 1 - escapes) === 0x5c) escapes++;
    if (escapes % 2 === 0) return end;
  }
  return -1;
}

/** @file A line's bytes as text, or the reason why they are no text. */
import { type ByteLine, MAX_LINE_BYTES } from './byte-lines.js';

const EXCERPT_CHARACTERS = 80;
const EXCERPT_BYTES = 4 * EXCERPT_CHARACTERS;

/** The text of a line, or what was required and what was got. */
export type DecodedLine = { readonly text: string } | { readonly requirement: string; readonly got: string };

/** Decodes a line: at most {@link MAX_LINE_BYTES} of valid UTF-8. */
export function decodeLine(line: ByteLine): DecodedLine {
  if (line.sizeBytes > MAX_LINE_BYTES) {
    return { requirement: `at most ${MAX_LINE_BYTES} bytes a record`, got: `${line.sizeBytes} bytes` };
  }
  try {
    return { text: strictDecoder().decode(line.bytes) };
  } catch {
    return { requirement: 'UTF-8 text', got: describeInvalidBytes(line) };
  }
}

function strictDecoder() {
  return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
}

function describeInvalidBytes({ bytes, offsetBytes }: ByteLine): string {
  const mark = offsetBytes === 0 ? `${bytes[0]},${bytes[1]}` : '';
  if (mark === '255,254' || mark === '254,255') return 'UTF-16 text (save the file as UTF-8)';
  const index = validPrefixBytes(bytes);
  if (index === bytes.length) return 'a line that ends inside a character';
  const value = bytes[index].toString(16).padStart(2, '0');
  return `byte 0x${value} at byte ${index + 1} of the line (offset ${offsetBytes + index} in the file)`;
}

/**
 * Length of the longest prefix that can still become valid UTF-8. Bisection works, since a longer prefix is never
 * better.
 */
function validPrefixBytes(bytes: Uint8Array): number {
  let valid = 0;
  let invalid = bytes.length + 1;
  while (invalid - valid > 1) {
    const middle = (valid + invalid) >> 1;
    if (canBecomeValid(bytes.subarray(0, middle))) valid = middle;
    else invalid = middle;
  }
  return valid;
}

function canBecomeValid(prefix: Uint8Array): boolean {
  try {
    strictDecoder().decode(prefix, { stream: true });
    return true;
  } catch {
    return false;
  }
}

/** The beginning of a line for a message: one printable line of at most 80 characters. */
export function excerptOf(line: ByteLine): string {
  const head = line.bytes.subarray(0, EXCERPT_BYTES);
  const text = printable(new TextDecoder().decode(head).trim());
  const characters = [...text];
  const isWhole = characters.length <= EXCERPT_CHARACTERS && head.length === line.sizeBytes;
  return isWhole ? text : `${characters.slice(0, EXCERPT_CHARACTERS).join('')}…`;
}

/** Text with control, format and lone surrogate characters written as escapes, so that it stays on one line. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, (character) => {
    const code = character.codePointAt(0)!.toString(16);
    return code.length > 4 ? `\\u{${code}}` : `\\u${code.padStart(4, '0')}`;
  });
}

/** @file What a program wrote to a batch file after it was read. */
import { parseJson } from '../json.js';
import { type ContentDigest, digestOf } from './digest.js';

const newline = 0x0a;
const startsDocument = /^\s*\[/;
const startsObject = /^\s*\{/;

/**
 * What is new in a file of which the beginning was read: its later lines, and the last line that was read if it was not
 * complete. All of it, if the beginning is another one now or the file is one JSON document.
 *
 * @param read what was read of it
 * @returns undefined if nothing but white space is new
 */
export function lateWriteOf(bytes: Uint8Array, read: ContentDigest): Uint8Array | undefined {
  const late = bytes.subarray(startOfLate(bytes, read));
  return new TextDecoder().decode(late).trim() === '' ? undefined : late;
}

function startOfLate(bytes: Uint8Array, { sizeBytes, sha256 }: ContentDigest): number {
  if (bytes.length < sizeBytes || digestOf(bytes.subarray(0, sizeBytes)) !== sha256) return 0;
  if (bytes.length === sizeBytes) return sizeBytes;
  if (startsDocument.test(new TextDecoder().decode(bytes.subarray(0, 100)))) return 0;
  const lineStart = bytes.lastIndexOf(newline, Math.max(0, sizeBytes - 1)) + 1;
  return isComplete(new TextDecoder().decode(bytes.subarray(lineStart, sizeBytes))) ? sizeBytes : lineStart;
}

/** An object ends with its brace, with or without a line end. */
function isComplete(line: string): boolean {
  if (line.trim() === '') return true;
  if (!startsObject.test(line)) return false;
  try {
    parseJson(line);
    return true;
  } catch (error) {
    if (error instanceof SyntaxError) return false;
    throw error;
  }
}

const segmentBytes = 255;

/** A key of the same folder and kind for other content: `edits.<12 hex digits>.jsonl`. @param sha256 of that content */
export function keyBeside(key: string, sha256: string): string {
  const [, folder, name] = /^(.*\/|)([^/]*)$/s.exec(key) ?? [];
  const [, stem, extension] = /^(.+?)(?:\.[0-9a-f]{12})?(\.[^.]{1,20})?$/s.exec(name) ?? [];
  const end = `.${sha256.slice(0, 12)}${extension ?? ''}`;
  let start = stem ?? '';
  while (new TextEncoder().encode(start + end).length > segmentBytes) start = [...start].slice(0, -1).join('');
  return folder + start + end;
}

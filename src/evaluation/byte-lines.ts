/** @file Files as byte chunks and byte lines, without ever holding a whole file or a huge line. */
import { createReadStream } from 'node:fs';
import { InvalidInputError } from '../errors.js';

/** Longest line or JSON element that is kept whole, in bytes. */
export const MAX_LINE_BYTES = 1_000_000;

const NEWLINE = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const UTF8_BOM = [0xef, 0xbb, 0xbf];

/** One line (or one element of a JSON array) as it lies in the file. */
export interface ByteLine {
  /** Line on which it begins, from 1. */
  readonly lineNumber: number;
  /** Where it begins in the file. */
  readonly offsetBytes: number;
  /** Its bytes without the line end, cut after {@link MAX_LINE_BYTES}. */
  readonly bytes: Uint8Array;
  readonly sizeBytes: number;
}

/** How far a reader has come. It is updated while a stream is consumed. */
export interface LineProgress {
  linesRead: number;
}

/** The first `limitBytes` of a sequence of parts, and the size of all parts. */
export class LimitedBytes {
  #parts: Uint8Array[] = [];
  #keptBytes = 0;
  #sizeBytes = 0;
  readonly #limitBytes: number;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  append(part: Uint8Array): void {
    const kept = part.subarray(0, this.#limitBytes - this.#keptBytes);
    if (kept.length > 0) this.#parts.push(kept);
    this.#keptBytes += kept.length;
    this.#sizeBytes += part.length;
  }

  /** What was appended since the last call. */
  take(): { bytes: Uint8Array; sizeBytes: number } {
    const bytes = this.#parts.length === 1 ? this.#parts[0] : Buffer.concat(this.#parts);
    const taken = { bytes, sizeBytes: this.#sizeBytes };
    this.#parts = [];
    this.#keptBytes = 0;
    this.#sizeBytes = 0;
    return taken;
  }
}

/**
 * The bytes of a file, chunk by chunk.
 *
 * @throws {InvalidInputError} if the file is missing, a folder, or cannot be read
 */
export async function* readChunks(path: string): AsyncGenerator<Uint8Array> {
  try {
    yield* createReadStream(path) as AsyncIterable<Uint8Array>;
  } catch (error) {
    throw unreadable(path, error);
  }
}

function unreadable(path: string, error: unknown): unknown {
  const code = (error as { code?: unknown }).code;
  if (typeof code !== 'string') return error;
  const got = { ENOENT: 'no such file', ENOTDIR: 'no such file', EISDIR: 'a folder', EACCES: 'permission denied' }[
    code
  ];
  return new InvalidInputError(path, 'a readable file', got ?? code, { cause: error });
}

/** In-memory bytes or a stream of them, as a stream. */
export async function* asChunks(bytes: Uint8Array | AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  if (bytes instanceof Uint8Array) yield bytes;
  else yield* bytes;
}

/** Whether a byte is a space, a tab or half of a line end. */
export function isBlankByte(byte: number): boolean {
  return byte === 0x20 || byte === 0x09 || byte === NEWLINE || byte === CARRIAGE_RETURN;
}

/**
 * The lines of a byte stream. LF and CRLF end a line. A UTF-8 byte order mark at the start belongs to no line. A last
 * line without a line end counts unless it is empty.
 */
export async function* byteLines(
  chunks: AsyncIterable<Uint8Array>,
  progress: LineProgress = { linesRead: 0 },
): AsyncGenerator<ByteLine> {
  const line = new LimitedBytes(MAX_LINE_BYTES + 1); // one more, for the CR of a CRLF
  let offsetBytes = 0;
  const finish = (endBytes: number): ByteLine => {
    progress.linesRead++;
    const { bytes, sizeBytes } = withoutCarriageReturn(line.take());
    const finished = { lineNumber: progress.linesRead, offsetBytes, bytes, sizeBytes };
    offsetBytes = endBytes;
    return finished.lineNumber === 1 ? withoutBom(finished) : finished;
  };
  let chunkOffsetBytes = 0;
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      line.append(chunk.subarray(start, end));
      start = end + 1;
      yield finish(chunkOffsetBytes + start);
    }
    line.append(chunk.subarray(start));
    chunkOffsetBytes += chunk.length;
  }
  if (chunkOffsetBytes > offsetBytes) yield finish(chunkOffsetBytes);
}

function withoutCarriageReturn(line: { bytes: Uint8Array; sizeBytes: number }): typeof line {
  const { bytes, sizeBytes } = line;
  if (sizeBytes !== bytes.length || bytes.at(-1) !== CARRIAGE_RETURN) return line;
  return { bytes: bytes.subarray(0, -1), sizeBytes: sizeBytes - 1 };
}

/** The line without a UTF-8 byte order mark. */
export function withoutBom(line: ByteLine): ByteLine {
  const skip = startsWithBom(line.bytes) ? UTF8_BOM.length : 0;
  if (skip === 0) return line;
  return {
    ...line,
    offsetBytes: line.offsetBytes + skip,
    bytes: line.bytes.subarray(skip),
    sizeBytes: line.sizeBytes - skip,
  };
}

/** Whether bytes begin with the UTF-8 byte order mark. */
export function startsWithBom(bytes: Uint8Array): boolean {
  return UTF8_BOM.every((byte, index) => bytes[index] === byte);
}

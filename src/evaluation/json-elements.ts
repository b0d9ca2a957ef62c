/** @file The elements of one large JSON array, found in a byte stream without parsing the whole array. */
import { type ByteLine, isBlankByte, LimitedBytes, type LineProgress, MAX_LINE_BYTES } from './byte-lines.js';

const NEWLINE = 0x0a;
const QUOTE = 0x22;
const COMMA = 0x2c;
const OPEN_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

/** An element of the array, or what is wrong with the array at this place. */
export interface ArrayElement extends ByteLine {
  readonly problem?: string;
}

/** Where the scanner is: before `[`, between elements, inside one, or behind `]`. */
type Place = 'before' | 'between' | 'inside' | 'behind' | 'trailing';

/**
 * The elements of a JSON array at the beginning of a byte stream. An array without an end gives a problem at the end.
 */
export async function* jsonElements(
  chunks: AsyncIterable<Uint8Array>,
  progress: LineProgress = { linesRead: 0 },
): AsyncGenerator<ArrayElement> {
  const scanner = new ArrayScanner(progress);
  for await (const chunk of chunks) yield* scanner.scan(chunk);
  yield* scanner.finish();
}

class ArrayScanner {
  #place: Place = 'before';
  #depth = 0;
  #inString = false;
  #escaped = false;
  readonly #element = new LimitedBytes(MAX_LINE_BYTES);
  #elementLineNumber = 0;
  #elementOffsetBytes = 0;
  #lineNumber = 1;
  #chunkOffsetBytes = 0;
  #endsInNewline = true;
  readonly #progress: LineProgress;

  constructor(progress: LineProgress) {
    this.#progress = progress;
  }

  *scan(chunk: Uint8Array): Generator<ArrayElement> {
    let start = 0;
    for (let index = 0; index < chunk.length; index++) {
      const byte = chunk[index];
      const wasOpen = this.#isOpen();
      const isEnd = this.#step(byte, this.#chunkOffsetBytes + index);
      if (!wasOpen && this.#isOpen()) start = index;
      if (isEnd) {
        this.#element.append(chunk.subarray(start, index));
        yield this.#takeElement();
      }
      if (byte === NEWLINE) this.#lineNumber++;
      this.#progress.linesRead = byte === NEWLINE ? this.#lineNumber - 1 : this.#lineNumber;
    }
    if (this.#isOpen()) this.#element.append(chunk.subarray(start));
    this.#chunkOffsetBytes += chunk.length;
    if (chunk.length > 0) this.#endsInNewline = chunk.at(-1) === NEWLINE;
  }

  *finish(): Generator<ArrayElement> {
    if (this.#place === 'trailing')
      yield { ...this.#takeElement(), problem: 'nothing after the end of the array, got more' };
    else if (this.#place === 'inside')
      yield { ...this.#takeElement(), problem: 'a closed JSON array, got a file that ends early' };
    else if (this.#place !== 'behind') yield this.#unclosed();
  }

  #isOpen(): boolean {
    return this.#place === 'inside' || this.#place === 'trailing';
  }

  /** Takes one byte. Returns whether an element ends just before it. */
  #step(byte: number, offsetBytes: number): boolean {
    if (this.#place === 'inside') return this.#stepInside(byte);
    if (this.#place === 'trailing' || isBlankByte(byte)) return false;
    if (this.#place === 'before') this.#place = 'between';
    else if (this.#place === 'behind') this.#open('trailing', offsetBytes);
    else if (byte === CLOSE_BRACKET) this.#place = 'behind';
    else if (byte !== COMMA) {
      this.#open('inside', offsetBytes);
      this.#stepInside(byte);
    }
    return false;
  }

  #open(place: Place, offsetBytes: number): void {
    this.#place = place;
    this.#depth = 0;
    this.#inString = false;
    this.#escaped = false;
    this.#elementLineNumber = this.#lineNumber;
    this.#elementOffsetBytes = offsetBytes;
  }

  #stepInside(byte: number): boolean {
    if (this.#inString) {
      this.#stepInString(byte);
      return false;
    }
    if (byte === QUOTE) this.#inString = true;
    else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) this.#depth++;
    else if (this.#depth > 0 && (byte === CLOSE_BRACE || byte === CLOSE_BRACKET)) this.#depth--;
    else if (this.#depth === 0 && (byte === COMMA || byte === CLOSE_BRACKET)) {
      this.#place = byte === COMMA ? 'between' : 'behind';
      return true;
    }
    return false;
  }

  /**
   * A JSON string cannot contain a raw line end. It ends the string here, so that a missing quote spoils one element
   * only.
   */
  #stepInString(byte: number): void {
    if (this.#escaped) this.#escaped = false;
    else if (byte === BACKSLASH) this.#escaped = true;
    else if (byte === QUOTE || byte === NEWLINE) this.#inString = false;
  }

  #takeElement(): ArrayElement {
    return { lineNumber: this.#elementLineNumber, offsetBytes: this.#elementOffsetBytes, ...this.#element.take() };
  }

  #unclosed(): ArrayElement {
    const lineNumber = this.#endsInNewline ? Math.max(1, this.#lineNumber - 1) : this.#lineNumber;
    const problem = 'a closed JSON array, got a file that ends early';
    return { lineNumber, offsetBytes: this.#chunkOffsetBytes, bytes: new Uint8Array(0), sizeBytes: 0, problem };
  }
}

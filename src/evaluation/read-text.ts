/** @file Reads ordinary text for key statistics, perplexity and gate measurements. */
import { MalformedFileError } from '../errors.js';
import { JsonDepthError, parseJson } from '../json.js';
import { type ByteLine, byteLines, MAX_LINE_BYTES, readChunks } from './byte-lines.js';
import { decodeLine } from './decode-line.js';
import { describeInput } from './record-reason.js';

/** How much of a text file to read. */
export interface ParagraphOptions {
  /** Reading stops after this many paragraphs; by default all are read. */
  readonly maxParagraphs?: number;
}

interface TextLine {
  readonly lineNumber: number;
  readonly text: string;
}

/** Characters of text that decide whether blank lines separate the paragraphs. */
const LOOKAHEAD_CHARACTERS = 1_000_000;

/**
 * The paragraphs of a text file: the parts between blank lines, or each line if the first million characters have no
 * blank line between others. In a JSONL file (its first line is an object): the `text`, or else the `content`, of each
 * line.
 *
 * @throws {InvalidInputError} if the file cannot be read
 * @throws {MalformedFileError} if it holds no text, or a line is not UTF-8, longer than 1 MB, or lacks its text field
 */
export async function* readParagraphs(path: string, options: ParagraphOptions = {}): AsyncGenerator<string> {
  const { maxParagraphs = Number.POSITIVE_INFINITY } = options;
  let paragraphs = 0;
  for await (const paragraph of paragraphsOf(textLines(path), path)) {
    if (paragraphs >= maxParagraphs) return;
    paragraphs++;
    yield paragraph;
  }
  if (paragraphs === 0) throw new MalformedFileError(path, 'a file with text', 'none');
}

async function* paragraphsOf(lines: AsyncGenerator<TextLine>, path: string): AsyncGenerator<string> {
  const head = await lookAhead(lines);
  const whole = followedBy(head, lines);
  const first = head.find(({ text }) => text.trim() !== '');
  if (first !== undefined && isJsonObject(first.text)) yield* textFields(whole, path);
  else if (hasInnerBlankLine(head)) yield* blocks(whole);
  else for await (const { text } of whole) if (text.trim() !== '') yield text.trim();
}

async function* textLines(path: string): AsyncGenerator<TextLine> {
  for await (const line of byteLines(readChunks(path))) yield { lineNumber: line.lineNumber, text: textOf(line, path) };
}

function textOf(line: ByteLine, path: string): string {
  const decoded = decodeLine(line);
  const place = `${path}, line ${line.lineNumber}`;
  if (!('text' in decoded)) throw new MalformedFileError(place, decoded.requirement, decoded.got);
  const nul = decoded.text.indexOf('\0');
  if (nul >= 0) throw new MalformedFileError(place, 'text', `a NUL byte at character ${nul + 1}`);
  return decoded.text;
}

async function lookAhead(lines: AsyncGenerator<TextLine>): Promise<TextLine[]> {
  const head: TextLine[] = [];
  for (let characters = 0; characters < LOOKAHEAD_CHARACTERS && !hasInnerBlankLine(head.slice(-3)); ) {
    const next = await lines.next();
    if (next.done) break;
    head.push(next.value);
    characters += next.value.text.length + 1;
  }
  return head;
}

async function* followedBy(head: readonly TextLine[], rest: AsyncIterable<TextLine>): AsyncGenerator<TextLine> {
  yield* head;
  yield* rest;
}

function hasInnerBlankLine(lines: readonly TextLine[]): boolean {
  const isBlank = lines.map(({ text }) => text.trim() === '');
  const first = isBlank.indexOf(false);
  return first >= 0 && isBlank.slice(first, isBlank.lastIndexOf(false)).includes(true);
}

async function* blocks(lines: AsyncIterable<TextLine>): AsyncGenerator<string> {
  let block: string[] = [];
  let characters = 0;
  for await (const { text } of lines) {
    const isBlank = text.trim() === '';
    if (block.length > 0 && (isBlank || characters + text.length > MAX_LINE_BYTES)) {
      yield block.join('\n').trim();
      block = [];
      characters = 0;
    }
    if (isBlank) continue;
    block.push(text);
    characters += text.length + 1;
  }
  if (block.length > 0) yield block.join('\n').trim();
}

async function* textFields(lines: AsyncIterable<TextLine>, path: string): AsyncGenerator<string> {
  for await (const { lineNumber, text } of lines) {
    if (text.trim() === '') continue;
    const record = jsonValue(text);
    const isRecord = typeof record === 'object' && record !== null;
    const field = isRecord ? (Object(record).text ?? Object(record).content) : record;
    if (!isRecord || typeof field !== 'string') {
      const got =
        record === undefined ? 'broken JSON' : record instanceof JsonDepthError ? record.message : describeInput(field);
      throw new MalformedFileError(`${path}, line ${lineNumber}`, 'a JSON object with a text or content string', got);
    }
    if (field.trim() !== '') yield field.trim();
  }
}

function isJsonObject(text: string): boolean {
  const value = jsonValue(text);
  if (value instanceof JsonDepthError) return /^\s*\{\s*"/.test(text);
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The line's JSON value; undefined if it is not JSON, such as plain text; the error if it is nested too deep. */
function jsonValue(text: string): unknown {
  try {
    return parseJson(text);
  } catch (error) {
    return error instanceof JsonDepthError ? error : undefined;
  }
}

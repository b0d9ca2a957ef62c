/** @file Reads batches of edits: our JSONL, CounterFact, zsRE and EasyEdit's, as JSONL or as one JSON array. */
import { z } from 'zod';
import type { Edit } from '../editing/index.js';
import { InvalidInputError } from '../errors.js';
import { JsonDepthError, parseJson } from '../json.js';
import { resolveConflicts } from './batch-conflicts.js';
import { asChunks, byteLines, isBlankByte, type LineProgress, readChunks, startsWithBom } from './byte-lines.js';
import { counterfactRecord } from './counterfact-record.js';
import { decodeLine, excerptOf } from './decode-line.js';
import { easyeditRecord, isEasyedit } from './easyedit-record.js';
import { contentId, type EditFields, editFieldNames, editRecordSchema } from './edit-record.js';
import { type ArrayElement, jsonElements } from './json-elements.js';
import { describeInput, reasonOf } from './record-reason.js';
import { zsreRecord } from './zsre-record.js';

/** The form of the edits in a batch file. */
export type BatchFormat = 'edits' | 'counterfact' | 'zsre' | 'easyedit';

/** Which part of a file to read, and how. */
export interface ReadBatchOptions {
  /** Most valid records to take. Reading stops there. */
  readonly limit?: number;
  /** Valid records to skip first. */
  readonly offset?: number;
  /** `auto` (default): the format of the file's first valid record. */
  readonly format?: BatchFormat | 'auto';
}

/** A rejected line. */
export interface RejectedLine {
  readonly lineNumber: number;
  /** One line: `field: requirement, got value`. */
  readonly reason: string;
  /** The line's beginning, printable. */
  readonly excerpt: string;
}

/** What a batch file holds: every non-blank line is in `edits` or in `rejected`. */
export interface BatchReading {
  /** `unknown` if `auto` found no valid record. */
  readonly format: BatchFormat | 'unknown';
  readonly edits: readonly Edit[];
  /** In the order of the lines. */
  readonly rejected: readonly RejectedLine[];
  readonly linesRead: number;
}

/** A record that fits its schema, and its place in the file. */
interface LineCandidate extends Omit<RejectedLine, 'reason'> {
  readonly edit: Edit;
  readonly place: string;
}

const SNIFF_BYTES = 65_536;
const recordNames = {
  edits: 'a hookline record',
  counterfact: 'a CounterFact record',
  zsre: 'a zsRE record',
  easyedit: 'an EasyEdit record',
} as const;
const schemaOf: Record<BatchFormat, (record: object) => z.ZodType<EditFields>> = {
  edits: editRecordSchema,
  counterfact: () => counterfactRecord,
  zsre: () => zsreRecord,
  easyedit: () => easyeditRecord,
};
const optionsSchema = z.strictObject({
  limit: z.int().min(1).optional(),
  offset: z.int().min(0).optional(),
  format: z.enum(['auto', 'edits', 'counterfact', 'zsre', 'easyedit']).optional(),
});

/**
 * Reads a batch file; see {@link parseBatch}.
 *
 * @throws {InvalidInputError} if the file cannot be read or an option is not valid
 */
export function readBatch(
  path: string,
  options: ReadBatchOptions = {},
  check?: Parameters<typeof parseBatch>[3],
): Promise<BatchReading> {
  return parseBatch(readChunks(path), path, options, check);
}

/**
 * Reads a batch from bytes: JSONL with one record a line, or one JSON array of records. Each bad record is rejected
 * with its line number and a reason, and the good ones are kept. Edits that cannot be in one batch are rejected too.
 *
 * @param what name of the source, for errors
 * @param check why an edit that fits its schema cannot be written; undefined, as for all by default, if it can
 * @throws {InvalidInputError} if the bytes cannot be read or an option is not valid
 */
export async function parseBatch(
  bytes: Uint8Array | AsyncIterable<Uint8Array>,
  what: string,
  options: ReadBatchOptions = {},
  check: (edit: Edit) => string | undefined = () => undefined,
): Promise<BatchReading> {
  const { limit = Number.POSITIVE_INFINITY, offset = 0, format = 'auto' } = checkedOptions(options, what);
  const progress: LineProgress = { linesRead: 0 };
  let known: BatchFormat | undefined = format === 'auto' ? undefined : format;
  const candidates: LineCandidate[] = [];
  const rejected: RejectedLine[] = [];
  let valid = 0;
  for await (const raw of rawRecords(asChunks(bytes), progress)) {
    const outcome = parseRecord(raw, known);
    const position = { lineNumber: raw.lineNumber, excerpt: excerptOf(raw) };
    if ('format' in outcome) known = outcome.format;
    const reason = 'reason' in outcome ? outcome.reason : check(outcome.edit);
    if (reason !== undefined || 'reason' in outcome) {
      if (valid >= offset) rejected.push({ ...position, reason: reason! });
      continue;
    }
    if (++valid > offset) candidates.push({ ...position, place: `line ${raw.lineNumber}`, edit: outcome.edit });
    if (candidates.length === limit) break;
  }
  const { accepted, refused } = resolveConflicts(candidates);
  for (const { candidate, reason } of refused) {
    rejected.push({ lineNumber: candidate.lineNumber, excerpt: candidate.excerpt, reason });
  }
  rejected.sort((one, other) => one.lineNumber - other.lineNumber);
  return {
    format: known ?? 'unknown',
    edits: accepted.map(({ edit }) => edit),
    rejected,
    linesRead: progress.linesRead,
  };
}

function checkedOptions(options: ReadBatchOptions, what: string): z.infer<typeof optionsSchema> {
  const result = optionsSchema.safeParse(options);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const field = String(issue.path[0] ?? 'options');
  const requirement = { limit: 'a whole number from 1', offset: 'a whole number from 0' }[field] ?? issue.message;
  throw new InvalidInputError(`${field} for ${what}`, requirement, describeInput(Object(options)[field]));
}

/** The non-blank lines of a stream, or its elements if it is one JSON array of objects. */
async function* rawRecords(chunks: AsyncGenerator<Uint8Array>, progress: LineProgress): AsyncGenerator<ArrayElement> {
  const head = await readHead(chunks);
  const whole = followedBy(head, chunks);
  if (isArrayOfObjects(head)) {
    const skipBytes = startsWithBom(head) ? 3 : 0;
    for await (const element of jsonElements(followedBy(head.subarray(skipBytes), chunks), progress)) {
      yield { ...element, offsetBytes: element.offsetBytes + skipBytes };
    }
    return;
  }
  for await (const line of byteLines(whole, progress)) {
    if (line.sizeBytes > line.bytes.length || !line.bytes.every(isBlankByte)) yield line;
  }
}

async function readHead(chunks: AsyncGenerator<Uint8Array>): Promise<Uint8Array> {
  let head: Uint8Array = new Uint8Array(0);
  while (head.length < SNIFF_BYTES) {
    const next = await chunks.next();
    if (next.done) break;
    head = head.length === 0 ? next.value : Buffer.concat([head, next.value]);
  }
  return head;
}

async function* followedBy(head: Uint8Array, rest: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield head;
  yield* rest;
}

function isArrayOfObjects(head: Uint8Array): boolean {
  const start = new TextDecoder().decode(head.subarray(0, SNIFF_BYTES)); // drops a byte order mark
  return /^[ \t\r\n]*\[[ \t\r\n]*[{\]]/.test(start);
}

type Outcome = { readonly format: BatchFormat; readonly edit: Edit } | { readonly reason: string };

function parseRecord(raw: ArrayElement, known: BatchFormat | undefined): Outcome {
  const decoded = decodeLine(raw);
  if (!('text' in decoded)) return { reason: `${decoded.requirement}, got ${decoded.got}` };
  if (raw.problem !== undefined) return { reason: raw.problem };
  const parsed = parseObject(decoded.text);
  if ('reason' in parsed) return parsed;
  const apparent = apparentFormat(parsed.record);
  const format = known ?? apparent;
  if (format !== apparent && apparent !== 'edits') {
    return { reason: `${recordNames[format]} as before, got ${recordNames[apparent]}` };
  }
  const result = schemaOf[format](parsed.record).safeParse(parsed.record);
  if (!result.success) return { reason: reasonOf(result.error, parsed.record, editFieldNames) };
  return { format, edit: { ...result.data, id: result.data.id ?? contentId(result.data) } };
}

function apparentFormat(record: object): BatchFormat {
  if ('requested_rewrite' in record) return 'counterfact';
  if ('src' in record && 'alt' in record) return 'zsre';
  return isEasyedit(record) ? 'easyedit' : 'edits';
}

function parseObject(text: string): { readonly record: object } | { readonly reason: string } {
  let value: unknown;
  try {
    value = parseJson(text);
  } catch (error) {
    const { message } = error as SyntaxError;
    const got = error instanceof JsonDepthError ? message : describeSyntax(text, message);
    return { reason: `a JSON object, got ${got}` };
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return { reason: `a JSON object, got ${describeInput(value)}` };
  }
  return { record: value };
}

function describeSyntax(text: string, message: string): string {
  const control = text.replace(/[\t\r\n]/g, ' ').search(/\p{Cc}/u);
  if (control >= 0) {
    const code = text.charCodeAt(control).toString(16).toUpperCase().padStart(4, '0');
    return `the control character U+${code} at character ${control + 1}`;
  }
  if (!text.trimStart().startsWith('{')) return 'text that is not JSON';
  if (/unexpected end|unterminated/i.test(message)) return 'one that is cut off';
  const position = /position (\d+)/.exec(message)?.[1];
  return position === undefined ? 'broken JSON' : `broken JSON at character ${Number(position) + 1}`;
}

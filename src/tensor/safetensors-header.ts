/** @file The header of a safetensors file: length (8 bytes), JSON, then the tensors' bytes without gaps. */

import { InvalidInputError, MalformedFileError, UnsupportedTensorTypeError } from '../errors.js';
import { parseJson } from '../json.js';
import { bytesPerElement, type Dtype, dtypes, elementCount, safetensorsName } from './tensor.js';

/** What the header says of one tensor; the offset counts from the first byte after the header. */
interface HeaderEntry {
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  readonly offsetBytes: number;
  readonly sizeBytes: number;
}

/** A parsed and validated header. */
interface SafetensorsHeader {
  readonly metadata: Readonly<Record<string, string>>;
  readonly entries: ReadonlyMap<string, HeaderEntry>;
}

/** Bytes before the JSON: its length as an unsigned 64-bit integer. */
export const lengthPrefixBytes = 8;

/** Longest JSON accepted, the limit of the format's reference implementation. */
const maxHeaderBytes = 100_000_000;

const dtypeOfName = new Map(dtypes.map((dtype) => [safetensorsName(dtype), dtype]));

/**
 * The length of the JSON, from the first 8 bytes of a file.
 *
 * @throws {MalformedFileError} if it exceeds the limit or the file
 */
export function headerLength(prefix: Uint8Array, fileBytes: number, what: string): number {
  if (prefix.byteLength < lengthPrefixBytes) {
    throw new MalformedFileError(what, `at least ${lengthPrefixBytes} bytes`, `${fileBytes}`);
  }
  const length = new DataView(prefix.buffer, prefix.byteOffset).getBigUint64(0, true);
  if (length > BigInt(maxHeaderBytes)) {
    throw new MalformedFileError(what, `a header of at most ${maxHeaderBytes} bytes`, `${length}`);
  }
  if (Number(length) > fileBytes - lengthPrefixBytes) {
    throw new MalformedFileError(what, `a header of ${length} bytes`, `a file of ${fileBytes} bytes`);
  }
  return Number(length);
}

/**
 * Parses a header and validates every name, shape and offset.
 *
 * @param json      the header's bytes
 * @param dataBytes bytes of the file after the header
 * @param what      the file's name for messages
 * @throws {MalformedFileError} if a rule of the format is broken
 * @throws {UnsupportedTensorTypeError} if a dtype has no host representation
 */
export function parseHeader(json: Uint8Array, dataBytes: number, what: string): SafetensorsHeader {
  const { __metadata__: metadata, ...tensors } = parseObject(json, what);
  const entries = new Map<string, HeaderEntry>();
  for (const [name, value] of Object.entries(tensors)) entries.set(name, parseEntry(name, value, what));
  requireTiling(entries, dataBytes, what);
  return { metadata: parseMetadata(metadata, what), entries };
}

function parseObject(json: Uint8Array, what: string): Record<string, unknown> {
  let parsed: unknown;
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(json);
    parsed = parseJson(text);
  } catch (cause) {
    throw new MalformedFileError(what, 'a header of JSON in UTF-8', String(cause), { cause });
  }
  if (!isRecord(parsed)) throw new MalformedFileError(what, 'a JSON object as header', describe(parsed));
  requireUniqueKeys(text, what);
  return parsed;
}

/** JSON.parse keeps the last of equal keys silently, so equal keys are looked for in the text. */
function requireUniqueKeys(text: string, what: string): void {
  const open: Set<string>[] = [];
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"(?:[ \t\r\n]*:)?|[{}]/g)) {
    if (token === '{') open.push(new Set());
    else if (token === '}') open.pop();
    else if (token.endsWith(':')) {
      const name = parseJson(token.slice(0, token.lastIndexOf('"') + 1)) as string;
      const names = open[open.length - 1]!;
      if (names.has(name)) throw new MalformedFileError(what, 'every name once in the header', `${name} twice`);
      names.add(name);
    }
  }
}

function parseMetadata(value: unknown, what: string): Record<string, string> {
  if (value === undefined) return {};
  if (!isRecord(value) || !Object.values(value).every((entry) => typeof entry === 'string')) {
    throw new MalformedFileError(what, '__metadata__ of strings', describe(value));
  }
  return value as Record<string, string>;
}

function parseEntry(name: string, value: unknown, what: string): HeaderEntry {
  if (!isRecord(value)) throw new MalformedFileError(what, `an object for tensor ${name}`, describe(value));
  const { dtype: typeName, shape, data_offsets: offsets } = value;
  if (typeof typeName !== 'string') {
    throw new MalformedFileError(what, `a dtype for tensor ${name}`, describe(typeName));
  }
  if (!isNaturals(shape)) throw new MalformedFileError(what, `a shape for tensor ${name}`, describe(shape));
  if (!isNaturals(offsets) || offsets.length !== 2 || offsets[1]! < offsets[0]!) {
    throw new MalformedFileError(what, `data_offsets [begin, end] for tensor ${name}`, describe(offsets));
  }
  const dtype = dtypeOfName.get(typeName);
  if (dtype === undefined) throw new UnsupportedTensorTypeError(name, typeName, [...dtypeOfName.keys()], what);
  const sizeBytes = offsets[1]! - offsets[0]!;
  const needed = elementCount(shape) * bytesPerElement(dtype);
  if (sizeBytes !== needed) {
    throw new MalformedFileError(what, `${needed} bytes for tensor ${name} ${typeName} [${shape}]`, `${sizeBytes}`);
  }
  return { dtype, shape, offsetBytes: offsets[0]!, sizeBytes };
}

/** Tensors must tile the data: no overlap, no gap, nothing behind the file's end. */
function requireTiling(entries: ReadonlyMap<string, HeaderEntry>, dataBytes: number, what: string): void {
  const ordered = [...entries].sort(([, a], [, b]) => a.offsetBytes - b.offsetBytes || a.sizeBytes - b.sizeBytes);
  let end = 0;
  for (const [name, entry] of ordered) {
    if (entry.offsetBytes !== end) {
      throw new MalformedFileError(what, `tensor ${name} to begin at byte ${end} of the data`, `${entry.offsetBytes}`);
    }
    end += entry.sizeBytes;
  }
  if (end !== dataBytes) throw new MalformedFileError(what, `${end} bytes of tensors`, `${dataBytes}`);
}

/** Lays tensors out without gaps and renders the length prefix and the JSON, padded to a multiple of 8 bytes. */
export function buildHeader(
  tensors: readonly { readonly name: string; readonly dtype: Dtype; readonly shape: readonly number[] }[],
  metadata: Readonly<Record<string, string>>,
): Uint8Array {
  const names = new Set<string>();
  const fields: [string, unknown][] = Object.keys(metadata).length > 0 ? [['__metadata__', metadata]] : [];
  let end = 0;
  for (const { name, dtype, shape } of tensors) {
    if (names.has(name) || name === '__metadata__') {
      throw new InvalidInputError('tensor names', 'distinct, none __metadata__', name);
    }
    names.add(name);
    const begin = end;
    end += elementCount(shape) * bytesPerElement(dtype);
    fields.push([name, { dtype: safetensorsName(dtype), shape, data_offsets: [begin, end] }]);
  }
  return prefixed(new TextEncoder().encode(JSON.stringify(Object.fromEntries(fields))));
}

function prefixed(json: Uint8Array): Uint8Array {
  const length = Math.ceil(json.length / 8) * 8;
  const header = new Uint8Array(lengthPrefixBytes + length).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(length), true);
  header.set(json, lengthPrefixBytes);
  return header;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isNaturals(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((entry) => Number.isSafeInteger(entry) && entry >= 0);
}

function describe(value: unknown): string {
  return JSON.stringify(value)?.slice(0, 100) ?? 'nothing';
}

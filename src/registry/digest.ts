import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { InvalidInputError } from '../errors.js';

/** SHA-256 of bytes, or of a text's UTF-8 bytes: 64 hex digits. */
export const digestOf = (content: Uint8Array | string): string => createHash('sha256').update(content).digest('hex');

/** The size and SHA-256 of one content. */
export interface ContentDigest {
  readonly sizeBytes: number;
  readonly sha256: string;
}

/**
 * SHA-256 and size of a file, read as a stream. Both belong to the same content even if the file is replaced meanwhile.
 */
export const digestOfFile = (path: string): Promise<ContentDigest> =>
  digestOfStream(createReadStream(path, { highWaterMark: 1 << 20 }));

/** SHA-256 and size of all that a stream gives. */
export async function digestOfStream(stream: AsyncIterable<Uint8Array>): Promise<ContentDigest> {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  for await (const chunk of stream) {
    hash.update(chunk);
    sizeBytes += chunk.length;
  }
  return { sizeBytes, sha256: hash.digest('hex') };
}

/**
 * The canonical JSON text of a value: object keys sorted by UTF-16 code units, no white space.
 * @throws {InvalidInputError} for anything JSON cannot hold: NaN, infinities, undefined, bigint, functions, class
 *   instances
 */
export function canonicalJson(value: unknown): string {
  return encode(value, '$');
}

/** The key under which a result is cached: SHA-256 of the canonical JSON of all inputs that matter. */
export const contentKey = (inputs: unknown): string => digestOf(canonicalJson(inputs));

function encode(value: unknown, path: string): string {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'number' && Number.isFinite(value)) return JSON.stringify(value);
  // Array.from visits holes too, as undefined.
  if (Array.isArray(value))
    return `[${Array.from(value, (item, index) => encode(item, `${path}[${index}]`)).join(',')}]`;
  if (isPlainObject(value)) {
    const members = Object.keys(value)
      .sort()
      .map((name) => `${JSON.stringify(name)}:${encode(value[name], `${path}.${name}`)}`);
    return `{${members.join(',')}}`;
  }
  throw new InvalidInputError(`canonical JSON at ${path}`, 'a JSON value', described(value));
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

const described = (value: unknown): string =>
  typeof value === 'object'
    ? `an instance of ${value?.constructor?.name ?? 'a class'}`
    : `${typeof value} ${String(value)}`;

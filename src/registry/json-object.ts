/** @file Objects that are JSON of a known form. */
import type { z } from 'zod';
import { MalformedFileError } from '../errors.js';
import { parseJson } from '../json.js';

/** Bytes of a JSON object, indented for human readers. */
export const encodeJson = (value: object): Uint8Array =>
  new TextEncoder().encode(`${JSON.stringify(value, null, 2)}\n`);

/** @throws {MalformedFileError} unless the bytes are JSON that fits the schema */
export const decodeJson = <T>(schema: z.ZodType<T>, bytes: Uint8Array, path: string): T =>
  checkJson(schema, jsonValue(bytes, path), path);

/** @throws {MalformedFileError} naming the first field that does not fit the schema */
export function checkJson<T>(schema: z.ZodType<T>, value: unknown, path: string): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  throw new MalformedFileError(path, `field ${issue.path.join('.') || '(all)'} as in schema version 1`, issue.message);
}

function jsonValue(bytes: Uint8Array, path: string): unknown {
  try {
    return parseJson(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    throw new MalformedFileError(path, 'JSON in UTF-8', (error as Error).message, { cause: error });
  }
}

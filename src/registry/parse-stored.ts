import type { z } from 'zod';
import { MalformedFileError } from '../errors.js';

/**
 * The value of a stored JSON text.
 *
 * @param what        the object's key, for messages
 * @param requirement what it should be, for messages
 * @throws {MalformedFileError} if it is no JSON or does not fit the schema
 */
export function parseStored<T>(text: string, schema: z.ZodType<T>, what: string, requirement: string): T {
  const parsed = schema.safeParse(jsonValue(text, what, requirement));
  if (!parsed.success) throw new MalformedFileError(what, requirement, parsed.error.issues[0].message);
  return parsed.data;
}

function jsonValue(text: string, what: string, requirement: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new MalformedFileError(what, requirement, JSON.stringify(text.slice(0, 40)), { cause });
  }
}

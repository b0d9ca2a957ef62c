/** @file Objects that are JSON of a known form, written as canonical JSON. */
import type { z } from 'zod';
import { MalformedFileError } from '../errors.js';
import { parseJson } from '../json.js';
import { canonicalJson } from './digest.js';
import type { ObjectStore } from './object-store.js';
import { getIfPresent, putOnce } from './put-once.js';

/** The form of a stored object: its schema, and a few words for messages. */
export interface StoredForm<T> {
  readonly schema: z.ZodType<T>;
  /** Such as `a plan of a round`. */
  readonly what: string;
}

/** The object's value. @throws {NoSuchKeyError} @throws {MalformedFileError} if it has another form */
export async function readStored<T>(store: ObjectStore, key: string, form: StoredForm<T>): Promise<T> {
  return decode((await store.get(key)).bytes, key, form);
}

/** The object's value, or undefined if there is none. @throws {MalformedFileError} if it has another form */
export async function findStored<T>(store: ObjectStore, key: string, form: StoredForm<T>): Promise<T | undefined> {
  const bytes = await getIfPresent(store, key);
  return bytes && decode(bytes, key, form);
}

/**
 * Writes the object unless it is there already.
 *
 * @returns the stored value; if another writer was first, theirs, so that all continue with the same
 * @throws {MalformedFileError} if the stored object has another form
 */
export async function storeOnce<T>(store: ObjectStore, key: string, form: StoredForm<T>, value: T): Promise<T> {
  return decode(await putOnce(store, key, encodeCanonical(value)), key, form);
}

/** Bytes of a value as canonical JSON. */
export const encodeCanonical = (value: unknown): Uint8Array => new TextEncoder().encode(canonicalJson(value));

function decode<T>(bytes: Uint8Array, key: string, { schema, what }: StoredForm<T>): T {
  return parseStored(new TextDecoder().decode(bytes), schema, key, what);
}

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
    return parseJson(text);
  } catch (cause) {
    throw new MalformedFileError(what, requirement, JSON.stringify(text.slice(0, 40)), { cause });
  }
}

/**
 * A stored value with today's names of its fields, where an earlier release wrote others. A value that is no object
 * stays as it is, and the schema refuses it.
 *
 * @param names from former names to today's
 */
export function withTodaysNames(value: unknown, names: Readonly<Record<string, string>>): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [names[name] ?? name, field]));
}

/** @file Objects that are canonical JSON of a known form. */
import type { z } from 'zod';
import { canonicalJson } from './digest.js';
import type { ObjectStore } from './object-store.js';
import { parseStored } from './parse-stored.js';
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

import { NoSuchKeyError, PreconditionFailedError } from '../errors.js';
import type { ObjectStore, StoredObject } from './object-store.js';

/**
 * Writes an object whose key names its inputs, unless it is there already.
 *
 * @returns the stored bytes; if another writer was first, theirs, so that all continue with the same
 */
export async function putOnce(store: ObjectStore, key: string, bytes: Uint8Array): Promise<Uint8Array> {
  try {
    await store.put(key, bytes, { ifNoneMatch: '*' });
    return bytes;
  } catch (error) {
    if (!(error instanceof PreconditionFailedError)) throw error;
    return (await store.get(key)).bytes;
  }
}

/** The object's bytes, or undefined if there is no such object. */
export async function getIfPresent(store: ObjectStore, key: string): Promise<Uint8Array | undefined> {
  return (await findObject(store, key))?.bytes;
}

/** The object, or undefined if there is no such object. */
export async function findObject(store: ObjectStore, key: string): Promise<StoredObject | undefined> {
  try {
    return await store.get(key);
  } catch (error) {
    if (error instanceof NoSuchKeyError) return undefined;
    throw error;
  }
}

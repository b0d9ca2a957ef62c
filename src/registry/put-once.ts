import { NoSuchKeyError, PreconditionFailedError } from '../errors.js';
import type { ObjectStore, StoredObject } from './object-store.js';

/**
 * Writes an object whose key names its inputs, unless it is there already.
 *
 * @returns the bytes that are stored: where another writer came first, theirs, so that all go on with the same
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

/** The object's bytes, or undefined where nothing is. */
export async function getIfPresent(store: ObjectStore, key: string): Promise<Uint8Array | undefined> {
  return (await findObject(store, key))?.bytes;
}

/** The object, or undefined where nothing is. */
export async function findObject(store: ObjectStore, key: string): Promise<StoredObject | undefined> {
  try {
    return await store.get(key);
  } catch (error) {
    if (error instanceof NoSuchKeyError) return undefined;
    throw error;
  }
}

import { NoSuchKeyError, PreconditionFailedError } from '../errors.js';
import { encodeJson } from './json-object.js';
import { latestKey, logKey } from './keys.js';
import { decodePointer, type Pointer } from './manifest.js';
import type { ObjectStore } from './object-store.js';

/** One state of a model's pointer, as stored. */
export interface PointerState {
  readonly pointer: Pointer;
  readonly etag: string;
  readonly bytes: Uint8Array;
}

/** The current state of `latest.json`, or undefined before the first version. */
export async function readPointer(store: ObjectStore, modelId: string): Promise<PointerState | undefined> {
  try {
    return await readState(store, latestKey(modelId));
  } catch (error) {
    if (error instanceof NoSuchKeyError) return undefined;
    throw error;
  }
}

/** Every state the pointer has been in, the current one first. */
export async function* pointerHistory(store: ObjectStore, modelId: string): AsyncGenerator<PointerState> {
  const current = await readPointer(store, modelId);
  if (current === undefined) return;
  yield current;
  for (let sequence = current.pointer.sequence - 1; sequence >= 1; sequence--) {
    yield await readState(store, logKey(modelId, sequence));
  }
}

async function readState(store: ObjectStore, key: string): Promise<PointerState> {
  const { bytes, etag } = await store.get(key);
  return { pointer: decodePointer(bytes, key), etag, bytes };
}

/**
 * Replaces the pointer if it is still in the state `current`. That state is written to the log first, so the log has
 * every replaced state, even if a writer is killed.
 * @throws {PreconditionFailedError} if the pointer is in another state
 */
export async function movePointer(
  store: ObjectStore,
  modelId: string,
  current: PointerState | undefined,
  move: Omit<Pointer, 'sequence' | 'previous'>,
): Promise<PointerState> {
  if (current !== undefined) await appendToLog(store, logKey(modelId, current.pointer.sequence), current.bytes);
  const pointer: Pointer = {
    ...move,
    previous: current === undefined ? null : { version: current.pointer.version },
    sequence: (current?.pointer.sequence ?? 0) + 1,
  };
  const bytes = encodeJson(pointer);
  const condition = current === undefined ? { ifNoneMatch: '*' as const } : { ifMatch: current.etag };
  const { etag } = await store.put(latestKey(modelId), bytes, condition);
  return { pointer, etag, bytes };
}

async function appendToLog(store: ObjectStore, key: string, bytes: Uint8Array): Promise<void> {
  try {
    await store.put(key, bytes, { ifNoneMatch: '*' });
  } catch (error) {
    // Another writer has logged this state already. There is only one state of each sequence number.
    if (!(error instanceof PreconditionFailedError)) throw error;
  }
}

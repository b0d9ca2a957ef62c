import { TransientError } from '../../src/errors.js';
import type { ObjectStore, PutCondition } from '../../src/registry/index.js';

/** The process that uses the store "ended" here. */
export class Crash extends Error {}

type Fault = (
  write: () => Promise<{ readonly etag: string }>,
  key: string,
  condition: PutCondition,
) => Promise<{ readonly etag: string }>;

/** A store whose writes pass through a fault; everything else is untouched. */
export function withFaultyWrites(store: ObjectStore, fault: Fault): ObjectStore {
  return {
    get: (key) => store.get(key),
    getIfChanged: (key, etag) => store.getIfChanged(key, etag),
    head: (key) => store.head(key),
    list: (prefix) => store.list(prefix),
    delete: (key, condition) => store.delete(key, condition),
    put: (key: string, bytes: Uint8Array, condition: PutCondition = {}) =>
      fault(() => store.put(key, bytes, condition), key, condition),
  };
}

/** Lets `writes` writes through; after them nothing happens any more. */
export function crashingAfter(store: ObjectStore, writes: number): ObjectStore {
  let left = writes;
  return withFaultyWrites(store, async (write) => {
    if (left-- <= 0) throw new Crash();
    return write();
  });
}

/** Carries out write number `writeIndex`, and loses its reply. */
export function losingReply(store: ObjectStore, writeIndex: number): ObjectStore {
  let index = 0;
  return withFaultyWrites(store, async (write) => {
    const reply = await write();
    if (index++ === writeIndex) throw new TransientError('store: a reply, got none');
    return reply;
  });
}

/** Carries out every write whose key ends so, and then tries it again itself, as clients do that miss a reply. */
export function repeatingWrites(store: ObjectStore, keyEnd: string): ObjectStore {
  return withFaultyWrites(store, async (write, key) => {
    if (key.endsWith(keyEnd)) await write();
    return write();
  });
}

/**
 * Lets `operations` operations through, and then nothing any more. Of the last one nothing happens (`operation`), or only
 * its reply is lost (`reply`): then reads do not count, since a read without a reply is one that did not happen.
 */
export function crashingAtOperation(store: ObjectStore, operations: number, lost: 'operation' | 'reply'): ObjectStore {
  let left = operations;
  const through = async <T>(operation: () => Promise<T>): Promise<T> => {
    if (left < 0) throw new Crash();
    if (left-- > 0) return operation();
    if (lost === 'reply') await operation();
    throw new Crash();
  };
  const read = async <T>(operation: () => Promise<T>): Promise<T> => {
    if (lost === 'operation') return through(operation);
    if (left < 0) throw new Crash();
    return operation();
  };
  return {
    get: (key) => read(() => store.get(key)),
    getIfChanged: (key, etag) => read(() => store.getIfChanged(key, etag)),
    head: (key) => read(() => store.head(key)),
    list: (prefix) => read(() => store.list(prefix)),
    delete: (key, condition) => through(() => store.delete(key, condition)),
    put: (key: string, bytes: Uint8Array, condition: PutCondition = {}) =>
      through(() => store.put(key, bytes, condition)),
  };
}

/** Lets something else happen just before operation number `index`. */
export function beforeOperation(store: ObjectStore, index: number, event: () => Promise<void>): ObjectStore {
  let left = index;
  const then = async <T>(operation: () => Promise<T>): Promise<T> => {
    if (left-- === 0) await event();
    return operation();
  };
  return {
    get: (key) => then(() => store.get(key)),
    getIfChanged: (key, etag) => then(() => store.getIfChanged(key, etag)),
    head: (key) => then(() => store.head(key)),
    list: (prefix) => then(() => store.list(prefix)),
    delete: (key, condition) => then(() => store.delete(key, condition)),
    put: (key: string, bytes: Uint8Array, condition: PutCondition = {}) => then(() => store.put(key, bytes, condition)),
  };
}

import { TransientError } from '../../src/errors.js';
import type { ObjectStore } from '../../src/registry/index.js';
import type { PutCondition } from '../../src/registry/object-store.js';

/** The process that uses the store "ended" here. */
export class Crash extends Error {}

/** What a store can be asked. */
export type Operation = Exclude<keyof ObjectStore, symbol>;

/** A store of whose operations each passes through a function. */
export function intercepted(
  store: ObjectStore,
  through: <T>(carryOut: () => Promise<T>, operation: Operation, key: string) => Promise<T>,
): ObjectStore {
  return {
    get: (key) => through(() => store.get(key), 'get', key),
    getIfChanged: (key, etag) => through(() => store.getIfChanged(key, etag), 'getIfChanged', key),
    head: (key) => through(() => store.head(key), 'head', key),
    list: (prefix) => through(() => store.list(prefix), 'list', prefix),
    arrivals: (prefix) => through(() => store.arrivals(prefix), 'arrivals', prefix),
    dropLateWrites: () => through(() => store.dropLateWrites(), 'dropLateWrites', ''),
    delete: (key, condition) => through(() => store.delete(key, condition), 'delete', key),
    put: (key, bytes, condition) => through(() => store.put(key, bytes, condition), 'put', key),
  };
}

type Fault = (
  write: () => Promise<{ readonly etag: string }>,
  key: string,
  condition: PutCondition,
) => Promise<{ readonly etag: string }>;

/** A store whose writes pass through a fault; everything else is untouched. */
export function withFaultyWrites(store: ObjectStore, fault: Fault): ObjectStore {
  const put: ObjectStore['put'] = (key, bytes, condition = {}) =>
    fault(() => store.put(key, bytes, condition), key, condition);
  return { ...intercepted(store, (carryOut) => carryOut()), put };
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
  const isWrite = (operation: Operation) => operation === 'put' || operation === 'delete';
  return intercepted(store, (carryOut, operation) => (isWrite(operation) ? through(carryOut) : read(carryOut)));
}

/** Lets something else happen just before operation number `index`. */
export function beforeOperation(store: ObjectStore, index: number, event: () => Promise<void>): ObjectStore {
  let left = index;
  return intercepted(store, async (carryOut) => {
    if (left-- === 0) await event();
    return carryOut();
  });
}

import { NoSuchKeyError, PreconditionFailedError } from '../errors.js';
import { digestOf } from './digest.js';
import { checkKeyPrefix, checkObjectKey } from './keys.js';
import {
  type Arrival,
  checkPutCondition,
  type DeleteCondition,
  inOrderOfArrival,
  type ObjectHead,
  type ObjectStore,
  type PutCondition,
  type StoredObject,
  sortKeys,
  violation,
} from './object-store.js';

/** A store in this process's memory. Callers never share bytes with it. */
export class MemoryObjectStore implements ObjectStore {
  readonly #objects = new Map<string, StoredObject & { readonly arrivedAt: number }>();
  #lastArrival = 0;

  async get(key: string): Promise<StoredObject> {
    const object = this.#objects.get(checkObjectKey(key));
    if (object === undefined) throw new NoSuchKeyError(key);
    return { bytes: Uint8Array.from(object.bytes), etag: object.etag };
  }

  async getIfChanged(key: string, etag: string): Promise<StoredObject | undefined> {
    const object = await this.get(key);
    return object.etag === etag ? undefined : object;
  }

  async head(key: string): Promise<ObjectHead | undefined> {
    const object = this.#objects.get(checkObjectKey(key));
    return object && { etag: object.etag, sizeBytes: object.bytes.length };
  }

  async put(key: string, bytes: Uint8Array, condition: PutCondition = {}): Promise<{ readonly etag: string }> {
    checkPutCondition(condition);
    const violated = violation(condition, this.#objects.get(checkObjectKey(key))?.etag);
    if (violated !== undefined) throw new PreconditionFailedError(key, violated);
    const etag = `"${digestOf(bytes)}"`;
    this.#lastArrival = Math.max(Date.now(), this.#lastArrival + 1);
    this.#objects.set(key, { bytes: Uint8Array.from(bytes), etag, arrivedAt: this.#lastArrival });
    return { etag };
  }

  async list(prefix: string): Promise<readonly string[]> {
    checkKeyPrefix(prefix);
    return sortKeys([...this.#objects.keys()].filter((key) => key.startsWith(prefix)));
  }

  async arrivals(prefix: string): Promise<readonly Arrival[]> {
    const keys = await this.list(prefix);
    const arrivals = keys.map((key): Arrival => {
      const { bytes, etag, arrivedAt } = this.#objects.get(key)!;
      return { key, arrivedAt, sizeBytes: bytes.length, stamp: etag, isGrowing: false, problem: undefined };
    });
    return inOrderOfArrival(arrivals);
  }

  async dropLateWrites(): Promise<readonly string[]> {
    return [];
  }

  async delete(key: string, condition: DeleteCondition = {}): Promise<void> {
    const found = this.#objects.get(checkObjectKey(key));
    if (found === undefined) return;
    const violated = violation(condition, found.etag);
    if (violated !== undefined) throw new PreconditionFailedError(key, violated);
    this.#objects.delete(key);
  }
}

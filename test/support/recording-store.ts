import type { ObjectStore } from '../../src/registry/index.js';
import { checkKeyPrefix } from '../../src/registry/object-key.js';
import type { DeleteCondition, PutCondition } from '../../src/registry/object-store.js';

/** A store that takes down which keys and prefixes were asked for; those that no object can have are refused. */
export class RecordingStore implements ObjectStore {
  readonly touched = new Set<string>();

  constructor(readonly inner: ObjectStore) {}

  async get(key: string) {
    return this.#told(key).get(key);
  }

  async getIfChanged(key: string, etag: string) {
    return this.#told(key).getIfChanged(key, etag);
  }

  async head(key: string) {
    return this.#told(key).head(key);
  }

  async put(key: string, bytes: Uint8Array, condition: PutCondition = {}) {
    return this.#told(key).put(key, bytes, condition);
  }

  async list(prefix: string) {
    return this.#told(prefix).list(prefix);
  }

  async arrivals(prefix: string) {
    return this.#told(prefix).arrivals(prefix);
  }

  async dropLateWrites() {
    return this.inner.dropLateWrites();
  }

  async delete(key: string, condition: DeleteCondition = {}) {
    return this.#told(key).delete(key, condition);
  }

  #told(key: string): ObjectStore {
    this.touched.add(checkKeyPrefix(key));
    return this.inner;
  }
}

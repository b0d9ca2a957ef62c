import { InvalidInputError } from '../errors.js';

/** An object as it was at one moment. */
export interface StoredObject {
  readonly bytes: Uint8Array;
  /** Opaque name of this content, with its quotes. Different contents of a key never have the same. */
  readonly etag: string;
}

export interface ObjectHead {
  readonly etag: string;
  readonly sizeBytes: number;
}

/** What lies where other programs drop objects. */
export interface Arrival {
  readonly key: string;
  /** When it was written last, in milliseconds since the epoch. */
  readonly arrivedAt: number;
  readonly sizeBytes: number;
  /** Names its present state: another one after every change. */
  readonly stamp: string;
  /** Whether another program may still be writing it. */
  readonly isGrowing: boolean;
  /** Why it cannot be read, as `requirement, got value`; undefined if it can. */
  readonly problem: string | undefined;
}

/** At most one of the two. An absent object fulfils no `ifMatch`. */
export interface PutCondition {
  /** Replace only the content with this ETag. */
  readonly ifMatch?: string;
  /** Write only if there is no such object. */
  readonly ifNoneMatch?: '*';
}

/** The condition under which an object is removed: it is for objects that other programs write. */
export type DeleteCondition = Pick<PutCondition, 'ifMatch'>;

/**
 * What hookline needs of a store, with S3's semantics: strongly consistent, whole objects, conditional writes and
 * deletes. Every method throws {InvalidInputError} for a key that breaks the rules of `checkObjectKey`.
 */
export interface ObjectStore {
  /** @throws {NoSuchKeyError} */
  get(key: string): Promise<StoredObject>;
  /**
   * The object, or undefined if it still has this ETag. Then no content is sent.
   * @throws {NoSuchKeyError}
   */
  getIfChanged(key: string, etag: string): Promise<StoredObject | undefined>;
  /** Undefined if there is no such object. */
  head(key: string): Promise<ObjectHead | undefined>;
  /**
   * Writes the whole object or nothing.
   * @throws {PreconditionFailedError} if the condition does not hold, and then nothing is written
   * @throws {ConflictError} if another write was under way: try again
   */
  put(key: string, bytes: Uint8Array, condition?: PutCondition): Promise<{ readonly etag: string }>;
  /** All keys that begin with `prefix` (any string, not only a folder), in the order of their UTF-8 bytes. */
  list(prefix: string): Promise<readonly string[]>;
  /** What lies below a folder's prefix, in the order of its arrival: by the time of the last write, then by key. */
  arrivals(prefix: string): Promise<readonly Arrival[]>;
  /**
   * Drops anew what other programs wrote to objects after these were removed with `ifMatch`.
   * @returns the keys of the new objects
   */
  dropLateWrites(): Promise<readonly string[]>;
  /**
   * Removes the object. It is no error if there is none.
   * @throws {PreconditionFailedError} if the object has another ETag than `ifMatch`, and then it stays
   * @throws {ConflictError} if another write was under way: try again
   */
  delete(key: string, condition?: DeleteCondition): Promise<void>;
}

/** @throws {InvalidInputError} if both conditions are given */
export function checkPutCondition(condition: PutCondition): void {
  if (condition.ifMatch !== undefined && condition.ifNoneMatch !== undefined) {
    throw new InvalidInputError('condition of a write', 'ifMatch or ifNoneMatch', 'both');
  }
}

/** Why `condition` does not hold for an object with this ETag (undefined: absent), or undefined if it does. */
export function violation(condition: PutCondition, etag: string | undefined): string | undefined {
  if (condition.ifNoneMatch !== undefined && etag !== undefined) return 'absent';
  if (condition.ifMatch !== undefined && condition.ifMatch !== etag) return `ETag ${condition.ifMatch}`;
  return undefined;
}

/** Sorts what arrived by its time, then by its key. */
export const inOrderOfArrival = (arrivals: Iterable<Arrival>): Arrival[] =>
  [...arrivals].sort(
    (first, second) =>
      first.arrivedAt - second.arrivedAt || Buffer.compare(Buffer.from(first.key), Buffer.from(second.key)),
  );

/** Sorts keys by their UTF-8 bytes, as S3 lists them. */
export const sortKeys = (keys: Iterable<string>): string[] =>
  [...keys].sort((first, second) => Buffer.compare(Buffer.from(first), Buffer.from(second)));

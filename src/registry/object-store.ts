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

/** At most one of the two. An absent object fulfils no `ifMatch`. */
export interface PutCondition {
  /** Replace only the content with this ETag. */
  readonly ifMatch?: string;
  /** Write only if there is no such object. */
  readonly ifNoneMatch?: '*';
}

/** The condition under which an object is removed. */
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

/** Sorts keys by their UTF-8 bytes, as S3 lists them. */
export const sortKeys = (keys: Iterable<string>): string[] =>
  [...keys].sort((first, second) => Buffer.compare(Buffer.from(first), Buffer.from(second)));

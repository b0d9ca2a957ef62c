import type { PutObjectCommandOutput, S3Client } from '@aws-sdk/client-s3';
import { InvalidInputError, NoSuchKeyError, PreconditionFailedError, TransientError } from '../errors.js';
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
} from './object-store.js';
import {
  isConflict,
  isNoSuchKey,
  isNotModified,
  isPreconditionFailed,
  isTransient,
  s3FailureOf,
  storeError,
} from './s3-errors.js';

/** The most that Node reads or sends at once. */
const objectLimitBytes = 2 ** 31 - 1;

/** User metadata that names one write. */
const writeIdName = 'hookline-write';

/** How often a request is sent: a write that meets another one under way, or a read whose body breaks off. */
const maxSends = 5;

type Sdk = typeof import('@aws-sdk/client-s3');

/**
 * A store in a bucket of S3 or of a compatible service, below an optional key prefix.
 *
 * - Credentials, region and endpoint are the SDK's own: environment, profile or role. With `AWS_ENDPOINT_URL_S3` or
 *   `AWS_ENDPOINT_URL` buckets are addressed by path.
 * - The SDK sends a request up to five times, and checks the checksum (CRC) of every object it writes or reads.
 * - It is loaded, and the client made, at the first request.
 * - A conditional write carries a random id as user metadata. If the reply of a write was lost, S3 refuses its
 *   repetition, because the first one is there already. So if a write was sent more than once and refused, the id of the
 *   stored object is read, and the write has succeeded if the id is its own. Equal bytes are not enough: of two writers
 *   with the same content only one is told that it wrote.
 *
 * Objects under keys that `checkObjectKey` refuses, as other programs may leave them, are not listed.
 */
export class S3ObjectStore implements ObjectStore {
  /** Prefix of all keys: empty, or ending in a slash. */
  readonly prefix: string;
  #opened: Promise<{ readonly sdk: Sdk; readonly client: S3Client }> | undefined;

  /**
   * @param bucket 3 to 63 of a-z 0-9 . -
   * @param prefix a key below which all objects of the store lie, or empty
   * @throws {InvalidInputError} for a name that no bucket can have, or a prefix that is no key
   */
  constructor(
    readonly bucket: string,
    prefix = '',
  ) {
    if (!/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(bucket)) {
      throw new InvalidInputError('S3 bucket', '3 to 63 of a-z 0-9 . -', JSON.stringify(bucket));
    }
    const folder = prefix.replace(/\/$/, '');
    this.prefix = folder === '' ? '' : `${checkObjectKey(folder)}/`;
  }

  async get(key: string): Promise<StoredObject> {
    return this.#get(key);
  }

  async getIfChanged(key: string, etag: string): Promise<StoredObject | undefined> {
    try {
      return await this.#get(key, etag);
    } catch (error) {
      if (error instanceof NotModified) return undefined;
      throw error;
    }
  }

  async #get(key: string, unlessEtag?: string): Promise<StoredObject> {
    const Key = this.#fullKey(key);
    for (let sends = 1; ; sends++) {
      try {
        return await this.#read(key, Key, unlessEtag);
      } catch (error) {
        if (error instanceof NotModified) throw error;
        // The SDK repeats requests, but not the reading of a body.
        if (sends === maxSends || !(error instanceof TransientError))
          throw this.#raised(error, 'get', key, 's3:GetObject');
        await pause(sends);
      }
    }
  }

  async head(key: string): Promise<ObjectHead | undefined> {
    const found = await this.#head(key);
    return found && { etag: found.etag, sizeBytes: found.sizeBytes };
  }

  async put(key: string, bytes: Uint8Array, condition: PutCondition = {}): Promise<{ readonly etag: string }> {
    checkPutCondition(condition);
    this.#fullKey(key);
    if (bytes.length > objectLimitBytes) {
      throw new InvalidInputError(`object ${key}`, `at most ${objectLimitBytes} bytes`, `${bytes.length} bytes`);
    }
    const writeId = crypto.randomUUID();
    let attempts = 0;
    for (let sends = 1; ; sends++) {
      try {
        return etagOf(await this.#send(key, bytes, condition, writeId), key);
      } catch (error) {
        const failure = s3FailureOf(error);
        attempts += failure.attempts;
        if (isRefusal(failure, condition))
          return await this.#settle(key, condition, attempts > 1 ? writeId : undefined);
        if (sends === maxSends || !isConflict(failure)) throw this.#raised(error, 'put', key, 's3:PutObject');
        await pause(sends);
      }
    }
  }

  async list(prefix: string): Promise<readonly string[]> {
    return sortKeys((await this.#listed(prefix)).map(({ key }) => key));
  }

  async arrivals(prefix: string): Promise<readonly Arrival[]> {
    return inOrderOfArrival(await this.#listed(prefix));
  }

  /** S3 shows an object only once it is complete. */
  async dropLateWrites(): Promise<readonly string[]> {
    return [];
  }

  async #listed(prefix: string): Promise<readonly Arrival[]> {
    const Prefix = this.prefix + checkKeyPrefix(prefix);
    const listed: Arrival[] = [];
    try {
      const { sdk, client } = await this.#open();
      // XML cannot hold all characters that a key may have.
      const pages = sdk.paginateListObjectsV2({ client }, { Bucket: this.bucket, Prefix, EncodingType: 'url' });
      for await (const page of pages) {
        for (const { Key = '', LastModified, Size = 0, ETag = '' } of page.Contents ?? []) {
          const fullKey = page.EncodingType === 'url' ? decodeURIComponent(Key.replaceAll('+', ' ')) : Key;
          const key = fullKey.slice(this.prefix.length);
          const arrivedAt = LastModified?.getTime() ?? 0;
          if (isObjectKey(key))
            listed.push({ key, arrivedAt, sizeBytes: Size, stamp: ETag, isGrowing: false, problem: undefined });
        }
      }
    } catch (error) {
      throw this.#raised(error, 'list', prefix, 's3:ListBucket');
    }
    return listed;
  }

  async delete(key: string, { ifMatch }: DeleteCondition = {}): Promise<void> {
    const Key = this.#fullKey(key);
    for (let sends = 1; ; sends++) {
      try {
        const { sdk, client } = await this.#open();
        await client.send(new sdk.DeleteObjectCommand({ Bucket: this.bucket, Key, IfMatch: ifMatch }));
        return;
      } catch (error) {
        const failure = s3FailureOf(error);
        if (isNoSuchKey(failure)) return;
        if (ifMatch !== undefined && isPreconditionFailed(failure)) {
          // In a bucket with versions the current one may be a delete marker, which no ETag matches.
          if ((await this.#head(key)) === undefined) return;
          throw new PreconditionFailedError(key, `ETag ${ifMatch}`);
        }
        if (sends === maxSends || !isConflict(failure)) throw this.#raised(error, 'delete', key, 's3:DeleteObject');
        await pause(sends);
      }
    }
  }

  #open() {
    this.#opened ??= import('@aws-sdk/client-s3').then((sdk) => ({ sdk, client: newClient(sdk) }));
    return this.#opened;
  }

  #fullKey(key: string): string {
    return checkObjectKey(this.prefix + checkObjectKey(key));
  }

  #raised(error: unknown, verb: string, key: string, action: string): unknown {
    return storeError(error, `${verb} of s3://${this.bucket}/${this.prefix}${key}`, action, key);
  }

  async #read(key: string, Key: string, unlessEtag: string | undefined): Promise<StoredObject> {
    const { sdk, client } = await this.#open();
    const request = new sdk.GetObjectCommand({ Bucket: this.bucket, Key, IfNoneMatch: unlessEtag });
    const reply = await client.send(request).catch((error) => {
      const failure = s3FailureOf(error);
      if (unlessEtag !== undefined && isNotModified(failure)) throw new NotModified();
      throw isNoSuchKey(failure) ? new NoSuchKeyError(key) : error;
    });
    const sizeBytes = reply.ContentLength ?? 0;
    if (sizeBytes > objectLimitBytes) {
      throw new InvalidInputError(`object ${key}`, `at most ${objectLimitBytes} bytes`, `${sizeBytes} bytes`);
    }
    const { etag } = etagOf(reply, key);
    try {
      const bytes = (await reply.Body?.transformToByteArray()) ?? new Uint8Array();
      return { bytes: new Uint8Array(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.length), etag };
    } catch (error) {
      if (!isTransient(s3FailureOf(error))) throw error;
      throw new TransientError(`body of object ${key}: complete, got ${s3FailureOf(error).message}`);
    }
  }

  async #head(key: string): Promise<(ObjectHead & { readonly writeId: string | undefined }) | undefined> {
    const Key = this.#fullKey(key);
    try {
      const { sdk, client } = await this.#open();
      const reply = await client.send(new sdk.HeadObjectCommand({ Bucket: this.bucket, Key }));
      const sizeBytes = reply.ContentLength ?? 0;
      return { ...etagOf(reply, key), sizeBytes, writeId: reply.Metadata?.[writeIdName] };
    } catch (error) {
      if (isNoSuchKey(s3FailureOf(error))) return undefined;
      throw this.#raised(error, 'head', key, 's3:GetObject');
    }
  }

  async #send(
    key: string,
    bytes: Uint8Array,
    { ifMatch, ifNoneMatch }: PutCondition,
    writeId: string,
  ): Promise<PutObjectCommandOutput> {
    const { sdk, client } = await this.#open();
    const isConditional = ifMatch !== undefined || ifNoneMatch !== undefined;
    const request = { Bucket: this.bucket, Key: this.#fullKey(key), Body: bytes, ContentLength: bytes.length };
    return client.send(
      new sdk.PutObjectCommand({
        ...request,
        IfMatch: ifMatch,
        IfNoneMatch: ifNoneMatch,
        Metadata: isConditional ? { [writeIdName]: writeId } : undefined,
      }),
    );
  }

  /** Decides on a refused write. It succeeded if the stored object is this write. */
  async #settle(key: string, condition: PutCondition, writeId: string | undefined): Promise<{ readonly etag: string }> {
    const stored = writeId === undefined ? undefined : await this.#head(key);
    if (stored !== undefined && stored.writeId === writeId) return { etag: stored.etag };
    throw new PreconditionFailedError(key, condition.ifMatch === undefined ? 'absent' : `ETag ${condition.ifMatch}`);
  }
}

/** S3's answer to a conditional read if the reader has the object already. */
class NotModified extends Error {}

/** S3 answers 404 to a write with `ifMatch` if there is no object. */
const isRefusal = (failure: ReturnType<typeof s3FailureOf>, { ifMatch }: PutCondition): boolean =>
  isPreconditionFailed(failure) || (ifMatch !== undefined && isNoSuchKey(failure));

function newClient(sdk: Sdk): S3Client {
  const endpoint = process.env.AWS_ENDPOINT_URL_S3 || process.env.AWS_ENDPOINT_URL;
  return new sdk.S3Client({
    maxAttempts: 5,
    retryMode: 'standard',
    forcePathStyle: Boolean(endpoint),
    followRegionRedirects: true,
    // A socket that is silent for so long is dead. A large object may take as long as it needs.
    requestHandler: { connectionTimeout: 5_000, socketTimeout: 60_000 },
  });
}

function etagOf({ ETag }: { readonly ETag?: string | undefined }, key: string): { readonly etag: string } {
  if (ETag === undefined) throw new TransientError(`object ${key}: an ETag in the reply of S3, got none`);
  return { etag: ETag };
}

function isObjectKey(name: string): boolean {
  try {
    return checkObjectKey(name) === name;
  } catch (error) {
    if (error instanceof InvalidInputError) return false;
    throw error;
  }
}

/** Backoff with full jitter: up to 50, 100, 200, 400 ms. */
const pause = (sends: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, Math.random() * 25 * 2 ** sends));

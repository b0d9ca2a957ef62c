import { fileURLToPath } from 'node:url';
import { InvalidInputError } from '../errors.js';
import { DirectoryObjectStore, type DirectoryObjectStoreOptions } from './directory-object-store.js';
import { MemoryObjectStore } from './memory-object-store.js';
import type { ObjectStore } from './object-store.js';
import { S3ObjectStore } from './s3-object-store.js';

/**
 * Opens the store at a location: a folder's path, `file:///...`, `s3://bucket` or `s3://bucket/prefix`
 * (reached at its first use), or `memory:` (a new, empty one).
 * @param options for a folder
 * @throws {InvalidInputError} for any other scheme, and for a bucket or prefix that cannot be
 */
export function openStore(location: string, options: DirectoryObjectStoreOptions = {}): ObjectStore {
  const scheme = /^([a-z][a-z0-9+.-]+):/i.exec(location)?.[1]?.toLowerCase();
  if (scheme === 'memory') return new MemoryObjectStore();
  if (scheme === 'file') return new DirectoryObjectStore(pathOf(location), options);
  if (scheme === 's3') return s3StoreAt(location);
  if (scheme === undefined && location !== '' && !location.includes('\0'))
    return new DirectoryObjectStore(location, options);
  throw new InvalidInputError(
    'store',
    'a folder, file:///..., s3://bucket[/prefix] or memory:',
    JSON.stringify(location),
  );
}

function s3StoreAt(location: string): S3ObjectStore {
  const [, bucket, prefix] = /^s3:\/\/([^/]*)\/?(.*)$/is.exec(location) ?? [];
  if (bucket === undefined) throw new InvalidInputError('store', 's3://bucket[/prefix]', JSON.stringify(location));
  return new S3ObjectStore(bucket, prefix);
}

function pathOf(location: string): string {
  try {
    return fileURLToPath(location);
  } catch (error) {
    throw new InvalidInputError('store', 'a file URL with an absolute path', JSON.stringify(location), {
      cause: error,
    });
  }
}

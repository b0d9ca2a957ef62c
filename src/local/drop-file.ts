import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { InvalidInputError } from '../errors.js';
import { incomingKey, type ObjectStore } from '../registry/index.js';

/** A file that lies in an inbox. */
export interface DroppedFile {
  readonly bytes: Uint8Array;
  readonly objectKey: string;
}

/** Puts a file into a model's inbox. @throws {InvalidInputError} if it cannot be read */
export async function dropFile(
  store: ObjectStore,
  modelId: string,
  path: string,
  name = basename(path),
): Promise<DroppedFile> {
  const bytes = await readFile(path).catch((cause: NodeJS.ErrnoException) => {
    throw new InvalidInputError(`batch ${path}`, 'a readable file', cause.code ?? cause.message, { cause });
  });
  const objectKey = incomingKey(modelId, name);
  await store.put(objectKey, bytes);
  return { bytes, objectKey };
}

import { access, constants, readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { InvalidInputError } from '../errors.js';
import { incomingKey, type ObjectStore } from '../registry/index.js';

/** A file that lies in an inbox. */
export interface DroppedFile {
  /** Where it was read. */
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly objectKey: string;
}

/**
 * Puts files into a model's inbox, each under its name; one that is named like an earlier one gets its number before it.
 *
 * @throws {InvalidInputError} if one cannot be read
 */
export async function dropFiles(
  store: ObjectStore,
  modelId: string,
  paths: readonly string[],
): Promise<readonly DroppedFile[]> {
  const dropped: DroppedFile[] = [];
  const names = new Set<string>();
  for (const [i, path] of paths.entries()) {
    const name = names.has(basename(path)) ? `${i + 1}-${basename(path)}` : basename(path);
    names.add(name);
    const bytes = await readFile(path).catch(unreadable(path));
    const objectKey = incomingKey(modelId, name);
    await store.put(objectKey, bytes);
    dropped.push({ path, bytes, objectKey });
  }
  return dropped;
}

/** Before anything is done, not after it. @throws {InvalidInputError} naming the first file that cannot be read */
export async function requireReadable(paths: readonly string[]): Promise<void> {
  for (const path of paths) await access(path, constants.R_OK).catch(unreadable(path));
}

const unreadable =
  (path: string) =>
  (cause: NodeJS.ErrnoException): never => {
    throw new InvalidInputError(`batch ${path}`, 'a readable file', cause.code ?? cause.message, { cause });
  };

import { access, constants, readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { InvalidInputError } from '../errors.js';
import { digestOf, incomingKey, isPassedOver, keyBeside, type ObjectStore, putOnce } from '../registry/index.js';

/** A file that lies in an inbox. */
export interface DroppedFile {
  /** Where it was read. */
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly objectKey: string;
}

/**
 * Puts files into a model's inbox, in their order. None replaces another one that waits there.
 *
 * @throws {InvalidInputError} if one cannot be read
 */
export async function dropFiles(
  store: ObjectStore,
  modelId: string,
  paths: readonly string[],
): Promise<readonly DroppedFile[]> {
  const dropped: DroppedFile[] = [];
  for (const [i, path] of paths.entries()) {
    const bytes = await readFile(path).catch(unreadable(path));
    if (bytes.length === 0) throw new InvalidInputError(`batch ${path}`, 'at least one edit', 'an empty file');
    // Of what arrived in the same moment, the names tell the order.
    const number = paths.length === 1 ? '' : `${String(i + 1).padStart(String(paths.length).length, '0')}-`;
    const objectKey = await dropOne(store, incomingKey(modelId, number + visibleName(basename(path))), bytes);
    dropped.push({ path, bytes, objectKey });
  }
  return dropped;
}

/** Under this key or, if another file waits there, under one with its own digest. */
async function dropOne(store: ObjectStore, objectKey: string, bytes: Uint8Array): Promise<string> {
  const other = keyBeside(objectKey, digestOf(bytes));
  const stored = await putOnce(store, objectKey, bytes);
  if (Buffer.compare(stored, bytes) === 0) return objectKey;
  await putOnce(store, other, bytes);
  return other;
}

/** A name that is not passed over. */
function visibleName(name: string): string {
  const shown = name.replace(/^\.+/, '') || 'batch';
  return isPassedOver(shown) ? `batch-${shown.replace(/[~#]/g, '')}.jsonl` : shown;
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

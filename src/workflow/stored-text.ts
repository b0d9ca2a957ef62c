import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { DigestMismatchError } from '../errors.js';
import { digestOf, digestOfFile, type ObjectStore } from '../registry/index.js';
import { writeFileAtomically } from '../tensor/index.js';

/** A text in the store. */
interface StoredText {
  readonly key: string;
  readonly sha256: string;
}

/**
 * A stored text as a file on this machine, downloaded once.
 *
 * @returns its path
 * @throws {DigestMismatchError} if the object is another text @throws {NoSuchKeyError} if it is missing
 */
export async function materialiseText(
  { store, cacheFolder }: { readonly store: ObjectStore; readonly cacheFolder: string },
  { key, sha256 }: StoredText,
): Promise<string> {
  const folder = join(cacheFolder, 'texts');
  const path = join(folder, `${sha256}.txt`);
  if ((await digestIfPresent(path)) === sha256) return path;
  const { bytes } = await store.get(key);
  const actual = digestOf(bytes);
  if (actual !== sha256) throw new DigestMismatchError(key, sha256, actual);
  await mkdir(folder, { recursive: true });
  await writeFileAtomically(path, (file) => file.writeFile(bytes));
  return path;
}

async function digestIfPresent(path: string): Promise<string | undefined> {
  try {
    return (await digestOfFile(path)).sha256;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

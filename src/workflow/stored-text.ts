import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { DigestMismatchError } from '../errors.js';
import { digestOf, digestOfFile, type ObjectStore } from '../registry/index.js';
import { writeFileAtomically } from '../tensor/index.js';
import { unlessAbsent } from './file-record.js';

/** A text in the store. */
interface StoredText {
  readonly key: string;
  readonly sha256: string;
}

/**
 * Makes a stored text a file on this machine's disk. It is downloaded once.
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
  if ((await unlessAbsent(digestOfFile(path)))?.sha256 === sha256) return path;
  const { bytes } = await store.get(key);
  const actual = digestOf(bytes);
  if (actual !== sha256) throw new DigestMismatchError(key, sha256, actual);
  await mkdir(folder, { recursive: true });
  await writeFileAtomically(path, (file) => file.writeFile(bytes));
  return path;
}

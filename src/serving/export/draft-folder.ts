import { randomUUID } from 'node:crypto';
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { InvalidInputError } from '../../errors.js';

/**
 * Makes a folder in one step: `write` fills a draft beside it, which is then renamed. If `write` throws, the draft is
 * removed.
 *
 * @throws {InvalidInputError} if the folder exists and is not empty
 */
export async function writeFolder(folder: string, write: (draft: string) => Promise<void>): Promise<void> {
  const path = resolve(folder);
  await requireFree(path);
  const draft = join(dirname(path), `.${basename(path)}.${randomUUID()}.draft`);
  try {
    await mkdir(draft, { recursive: true });
    await write(draft);
    await requireFree(path);
    // An empty folder of that name is replaced.
    await rename(draft, path);
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    throw error;
  }
}

async function requireFree(path: string): Promise<void> {
  const got = await entriesOf(path);
  if (got.length > 0) throw new InvalidInputError(`folder ${path}`, 'new or empty', `${got.length} entries`);
}

async function entriesOf(path: string): Promise<string[]> {
  try {
    return await readdir(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return [];
    if (code === 'ENOTDIR') throw new InvalidInputError(`folder ${path}`, 'new or empty', 'a file', { cause: error });
    throw error;
  }
}

/** @file Files and folders of a store on a disk. */
import { mkdir, open } from 'node:fs/promises';
import { dirname, sep } from 'node:path';

/** Undefined if there is no such file. */
export async function absentAsUndefined<T>(read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'EISDIR') return undefined;
    throw error;
  }
}

/**
 * Creates a folder and those above it, but none above or at the root, and synchronises each folder that gets an entry.
 */
export async function makeFolder(path: string, root: string): Promise<void> {
  for (;;) {
    try {
      await mkdir(path);
      return await syncFolder(dirname(path));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EEXIST') return;
      if (code !== 'ENOENT' || path === root || dirname(path) === root) throw error;
    }
    await makeFolder(dirname(path), root);
  }
}

/** Waits until a folder's entries are on the disk. */
export async function syncFolder(path: string): Promise<void> {
  // Windows cannot open folders, and it records a rename without a synchronisation.
  if (sep === '\\') return;
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

import { randomUUID } from 'node:crypto';
import { mkdir, open, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { mayBeRunning, processIdentity } from './process-identity.js';

/** A path for a draft that nobody else uses, named after its owner (`<identity>.<uuid>`). */
export const draftPath = async (folder: string): Promise<string> =>
  join(folder, `${await processIdentity()}.${randomUUID()}`);

/**
 * Writes a draft (see {@link draftPath}) that will be moved or linked into place.
 * @param durability 'durable': the file is on the disk, not only in the page cache, when this returns
 * @returns its path
 */
export async function writeDraft(
  folder: string,
  content: Uint8Array | string,
  durability: 'durable' | 'volatile',
): Promise<string> {
  await mkdir(folder, { recursive: true });
  const path = await draftPath(folder);
  const file = await open(path, 'wx');
  try {
    await file.writeFile(content);
    if (durability === 'durable') await file.sync();
  } finally {
    await file.close();
  }
  return path;
}

/** Removes the drafts of processes that have ended. */
export async function sweepDrafts(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (!(await mayBeRunning(name.slice(0, name.lastIndexOf('.'))))) await rm(join(folder, name), { force: true });
  }
}

/** @file Puts the files and the link of a version folder in place, each in one step. */
import { chmod, link, mkdir, readlink, rename, rm, symlink } from 'node:fs/promises';
import { basename, dirname, join, sep } from 'node:path';
import { InvalidInputError } from '../errors.js';
import { digestOfFile } from './digest.js';
import { draftPath, writeDraft } from './draft-file.js';
import { draftFolder, pulledFolder, versionOfPulled } from './version-folder-state.js';

/** Works on each item, `atOnce` at a time. After a failure no other item is begun. @throws the first failure */
export async function forEachOf<T>(items: readonly T[], atOnce: number, work: (item: T) => Promise<void>) {
  const queue = [...items];
  const failures: unknown[] = [];
  const oneAfterTheOther = async () => {
    for (let item = queue.shift(); item !== undefined && failures.length === 0; item = queue.shift()) {
      await work(item).catch((error) => failures.push(error));
    }
  };
  await Promise.all(Array.from({ length: atOnce }, oneAfterTheOther));
  if (failures.length > 0) throw failures[0];
}

/** The size of a file in bytes if it has this digest; undefined if it has another, or does not exist. */
export async function sizeIfIntact(path: string, sha256: string): Promise<number | undefined> {
  try {
    const found = await digestOfFile(path);
    return found.sha256 === sha256 ? found.sizeBytes : undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** A content, and the cache's file of it. */
interface CachedContent {
  readonly bytes: Uint8Array;
  readonly cachePath: string;
}

/** Puts a read-only file in place of any other: a hard link to the cache's file, or a copy. */
export async function placeFile(folder: string, target: string, content: CachedContent): Promise<void> {
  await mkdir(dirname(target), { recursive: true });
  const draft = await linkOrCopy(draftFolder(folder), content);
  await rename(draft, target);
  // Moving a file onto another name of the same file leaves both names.
  await rm(draft, { force: true });
}

async function linkOrCopy(drafts: string, { bytes, cachePath }: CachedContent): Promise<string> {
  const draft = await draftPath(drafts);
  try {
    await link(cachePath, draft);
    return draft;
  } catch {
    // Another file system, one without links, or too many links. If the disk itself is at fault, the copy fails too.
    const copy = await writeDraft(drafts, bytes, 'durable');
    await chmod(copy, 0o444);
    return copy;
  }
}

/**
 * The name of the pulled folder that `current` leads to; undefined if it leads to none.
 * @throws {InvalidInputError} if `current` is no link
 */
export async function currentName(folder: string): Promise<string | undefined> {
  const path = join(folder, 'current');
  try {
    const name = basename(await readlink(path));
    return versionOfPulled(name) === undefined ? undefined : name;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    if (code !== 'EINVAL') throw error;
    throw new InvalidInputError(path, 'a link to a pulled version', 'something else', { cause: error });
  }
}

/** Lets `current` lead to a pulled folder, in one step, except on Windows, where a link cannot replace another. */
export async function pointCurrentTo(folder: string, name: string): Promise<void> {
  const path = join(folder, 'current');
  const draft = await draftPath(draftFolder(folder));
  if (sep === '\\') {
    // Unlike a symbolic link, a junction needs no rights; its target is absolute.
    await symlink(pulledFolder(folder, name), draft, 'junction');
    await rm(path, { force: true, recursive: true });
  } else await symlink(`pulled/${name}`, draft);
  await rename(draft, path);
}

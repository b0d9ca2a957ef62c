import { randomUUID } from 'node:crypto';
import { link, mkdir, readFile, rm, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { writeDraft } from './draft-file.js';
import { mayBeRunning, processIdentity } from './process-identity.js';

/*
 * A lock between processes. A killed owner does not keep it.
 *
 * The owner of the last file in a chain of files holds the lock `name`. The first file is `name` itself. The successor
 * of a file with the token T as content is the file `name.T`. A file is made by hard-linking a complete one into place,
 * so only one process can create it, and nobody sees it half-written. A token names its owner's process, and is never
 * used twice.
 *
 * - The lock is free if `name` does not exist. Creating it takes the lock.
 * - If the last owner of the chain runs, others wait.
 * - If it does not run, creating its successor takes the lock, and only one of several can do so. (Deleting the dead
 *   owner's file instead would race: a slow process could delete the file of the next owner.)
 * - Release deletes `name` first and then the rest of the chain. A process may create a successor of a file that was
 *   deleted just before. So it reads `name` once more, and gives up if that has another token than at first.
 */

/** The lock was not released in time. */
export class LockTimeout extends Error {}

export interface LockOptions {
  /** On the same file system as the lock. */
  readonly draftFolder: string;
  readonly timeoutSeconds: number;
}

const turns = new Map<string, Promise<unknown>>();

/**
 * Runs `work` while holding the lock `name` in `folder` against every process on this host, and every caller in this
 * one. The lock of a process that ended without releasing is taken over at once.
 * @throws {LockTimeout} if it stays held, naming its file and owner
 */
export async function withLock<T>(
  folder: string,
  name: string,
  options: LockOptions,
  work: () => Promise<T>,
): Promise<T> {
  const root = join(folder, name);
  // Callers in this process queue up, so that they do not compete by polling.
  const before = turns.get(root);
  const turn = (async () => {
    // Only the earlier caller handles that failure.
    await before?.catch(() => undefined);
    const chain = await acquire(root, options);
    try {
      return await work();
    } finally {
      for (const path of chain) await rm(path, { force: true });
    }
  })();
  turns.set(root, turn);
  try {
    return await turn;
  } finally {
    if (turns.get(root) === turn) turns.delete(root);
  }
}

async function acquire(root: string, { draftFolder, timeoutSeconds }: LockOptions): Promise<readonly string[]> {
  await mkdir(join(root, '..'), { recursive: true });
  const token = `${await processIdentity()}.${randomUUID()}`;
  const deadline = performance.now() + timeoutSeconds * 1000;
  for (let pauseMs = 1; ; pauseMs = Math.min(2 * pauseMs, 50)) {
    const outcome = await tryToAcquire(root, token, draftFolder);
    if (typeof outcome !== 'string') return outcome;
    if (performance.now() > deadline) {
      throw new LockTimeout(`${root}: released within ${timeoutSeconds} s, got held by ${outcome}`);
    }
    await sleep(pauseMs * (0.5 + Math.random()));
  }
}

/** The chain of files that now hold the lock, or a description of who holds it. */
async function tryToAcquire(root: string, token: string, draftFolder: string): Promise<readonly string[] | string> {
  const chain = [root];
  const first = await readToken(root);
  let owner = first;
  while (owner !== undefined) {
    if (await mayBeRunning(identityOf(owner))) return owner;
    chain.push(`${root}.${owner}`);
    owner = await readToken(chain.at(-1)!);
  }
  const last = chain.at(-1)!;
  if (!(await create(last, token, draftFolder))) return 'another contender';
  if (last === root || (await readToken(root)) === first) return chain;
  await rm(last, { force: true });
  return 'an owner who has just released it';
}

const identityOf = (token: string): string => token.slice(0, token.lastIndexOf('.'));

async function readToken(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

async function create(path: string, token: string, draftFolder: string): Promise<boolean> {
  const draft = await writeDraft(draftFolder, token, 'volatile');
  try {
    await link(draft, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    await unlink(draft);
  }
}

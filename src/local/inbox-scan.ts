import type { Dirent } from 'node:fs';
import { lstat, readdir } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';

/**
 * Looks through a folder for files that nobody was told of: a watch misses what comes into a new folder between its first look
 * at it and the moment from which the system reports changes.
 */
export class InboxScan {
  /** How each file was when it was told of. */
  readonly #told = new Map<string, string>();
  /** How the others were at the last look. */
  #seen: ReadonlyMap<string, string> = new Map();
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** The file is told of as it is now. */
  async tell(path: string): Promise<void> {
    const state = await stateOf(path);
    if (state !== undefined) this.#told.set(path, state);
  }

  /** Files not told of, or changed since, that are as they were at the last look; the others may still be written. */
  async missed(): Promise<string[]> {
    const present = new Map<string, string>();
    for (const path of await filesBelow(this.#folder)) {
      const state = await stateOf(path);
      if (state !== undefined) present.set(path, state);
    }
    for (const path of this.#told.keys()) if (!present.has(path)) this.#told.delete(path);
    const untold = new Map([...present].filter(([path, state]) => this.#told.get(path) !== state));
    const missed = [...untold].filter(([path, state]) => this.#seen.get(path) === state).map(([path]) => path);
    this.#seen = untold;
    return missed;
  }
}

/** Whether a path below a folder has a hidden part: such files are passed over. */
export function isHidden(folder: string, path: string): boolean {
  return relative(folder, path)
    .split(sep)
    .some((name) => name.startsWith('.') && name !== '..');
}

async function filesBelow(folder: string): Promise<string[]> {
  const entries: Dirent[] = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return paths.filter((path) => !isHidden(folder, path));
}

/** Undefined where the file is gone. */
async function stateOf(path: string): Promise<string | undefined> {
  try {
    const { mtimeMs, size, ino } = await lstat(path);
    return `${ino} ${size} ${mtimeMs}`;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

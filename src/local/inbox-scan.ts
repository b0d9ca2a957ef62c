import type { Dirent } from 'node:fs';
import { lstat, readdir } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';

/**
 * Looks through a folder for files that a watch has missed. It misses files that come into a new folder after its first
 * look and before the system reports changes there.
 */
export class InboxScan {
  /** The state of each file when it was reported. */
  readonly #told = new Map<string, string>();
  /** The states of the other files at the last look. */
  #seen: ReadonlyMap<string, string> = new Map();
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Notes that the file was reported in its present state. */
  async tell(path: string): Promise<void> {
    const state = await stateOf(path);
    if (state !== undefined) this.#told.set(path, state);
  }

  /** Unreported or changed files that have not changed since the last look. Others may still be being written. */
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

/** Whether a path below a folder has a hidden part. Such files are ignored. */
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

/** Undefined if the file is gone. */
async function stateOf(path: string): Promise<string | undefined> {
  try {
    const { mtimeMs, size, ino } = await lstat(path);
    return `${ino} ${size} ${mtimeMs}`;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

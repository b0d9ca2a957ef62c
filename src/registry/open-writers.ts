/** @file Which files are open for writing in a process of this machine, as far as the platform tells. */
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { basename } from 'node:path';
import { setImmediate as afterEvents } from 'node:timers/promises';

/** A file, whatever path it has. */
export interface FileIdentity {
  readonly path: string;
  readonly dev: number;
  readonly ino: number;
}

/**
 * The files that a process has open for writing. On Linux, processes of other users are seen by root alone, and on other
 * platforms none is seen.
 *
 * @returns their paths
 */
export async function openForWriting(files: readonly FileIdentity[]): Promise<ReadonlySet<string>> {
  const found = new Set<string>();
  if (process.platform !== 'linux' || files.length === 0) return found;
  const byName = new Map<string, FileIdentity[]>();
  for (const file of files) byName.set(basename(file.path), [...(byName.get(basename(file.path)) ?? []), file]);
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    for (const fd of orNothing(() => readdirSync(`/proc/${pid}/fd`)) ?? []) {
      const link = `/proc/${pid}/fd/${fd}`;
      // The path may be that of another mount, but a file keeps its name.
      const named = byName.get(basename(orNothing(() => readlinkSync(link)) ?? ''));
      if (named === undefined || !isWriting(pid, fd)) continue;
      const open = orNothing(() => statSync(link));
      for (const file of named) if (file.ino === open?.ino && file.dev === open.dev) found.add(file.path);
    }
    await afterEvents();
  }
  return found;
}

const accessMode = 3;

function isWriting(pid: string, fd: string): boolean {
  const flags = /^flags:\s*([0-7]+)/m.exec(orNothing(() => readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'latin1')) ?? '');
  return flags !== null && (Number.parseInt(flags[1], 8) & accessMode) !== 0;
}

/** Undefined for what is another user's, or has ended or was closed meanwhile. */
function orNothing<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (['EACCES', 'EPERM', 'ENOENT', 'ESRCH', 'EINVAL'].includes(code)) return undefined;
    throw error;
  }
}

import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdir, readFile, readlink } from 'node:fs/promises';
import { hostname } from 'node:os';
import { promisify } from 'node:util';

/*
 * `<host>.<boot>.<pid>.<start>`: the name of a process, which no later process has. Process ids are reused. Together with
 * the start time, the boot, and the host (with its namespace of process ids) they are unique.
 */

const shortHash = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 16);
const hasProc = process.platform === 'linux';

let own: Promise<string> | undefined;

/** This process's identity, fit for a file name. */
export function processIdentity(): Promise<string> {
  own ??= identify();
  return own;
}

async function identify(): Promise<string> {
  const { start } = (await statusOf(process.pid)) ?? { start: 'unknown' };
  return [await hostIdentity(), await bootIdentity(), process.pid, start].join('.');
}

async function hostIdentity(): Promise<string> {
  return shortHash(`${hostname()} ${hasProc ? await readlink('/proc/self/ns/pid') : ''}`);
}

async function bootIdentity(): Promise<string> {
  return hasProc ? shortHash(await readFile('/proc/sys/kernel/random/boot_id', 'utf8')) : 'boot';
}

/**
 * Whether the process of this identity may still be running. True for a process on another host, of which nothing is
 * known. False for a name that is no identity.
 */
export async function mayBeRunning(identity: string): Promise<boolean> {
  const [host, boot, pid, start, ...rest] = identity.split('.');
  if (start === undefined || rest.length > 0 || !/^[1-9]\d*$/.test(pid ?? '')) return false;
  if (host !== (await hostIdentity())) return true;
  if (boot !== (await bootIdentity())) return false;
  const status = await statusOf(Number(pid));
  return status !== undefined && status.start === start && !status.ended;
}

interface ProcessStatus {
  readonly start: string;
  /** Whether nothing of it runs any more, though its parent has not collected it. */
  readonly ended: boolean;
}

async function statusOf(pid: number): Promise<ProcessStatus | undefined> {
  return hasProc ? statusFromProc(pid) : statusFromPs(pid);
}

async function statusFromProc(pid: number): Promise<ProcessStatus | undefined> {
  try {
    const text = await readFile(`/proc/${pid}/stat`, 'latin1');
    // The second field, the command in parentheses, may contain spaces and parentheses itself.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    const zombie = fields[0] === 'Z' || fields[0] === 'X';
    // After a kill, the first thread may have ended while another one is still in a system call.
    const ended = zombie && (await readdir(`/proc/${pid}/task`)).length <= 1;
    return { start: fields[19] ?? 'unknown', ended };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ESRCH') return undefined;
    throw error;
  }
}

async function statusFromPs(pid: number): Promise<ProcessStatus | undefined> {
  const environment = { ...process.env, LC_ALL: 'C', TZ: 'UTC' };
  try {
    const { stdout } = await promisify(execFile)('ps', ['-o', 'stat=,lstart=', '-p', String(pid)], {
      env: environment,
    });
    const [state = '', ...start] = stdout.trim().split(/\s+/);
    return { start: shortHash(start.join(' ')), ended: state.startsWith('Z') };
  } catch (error) {
    // `ps` exits 1 when there is no such process.
    if ((error as { code?: unknown }).code === 1) return undefined;
    throw error;
  }
}

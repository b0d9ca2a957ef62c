import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command, Message, RunnerOptions } from './messages.js';

/** A runner as a process of its own. */
export class RunnerProcess {
  /** Resolves when it has ended. */
  readonly ended: Promise<void>;
  readonly #child: ChildProcess;
  #errors = '';

  /** @param user whose rights it gets, where this process may give them */
  constructor(program: string, options: RunnerOptions, onMessage: (message: Message) => void, user?: number) {
    const child = spawn(process.execPath, [program, JSON.stringify(options)], {
      stdio: ['pipe', 'pipe', 'pipe'],
      ...(user !== undefined && { uid: user, gid: user }),
    });
    this.#child = child;
    createInterface({ input: child.stdout }).on('line', (line) => onMessage(JSON.parse(line) as Message));
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#errors = (this.#errors + text).slice(-4000);
    });
    // It may be killed while something is written to it.
    child.stdin.on('error', () => undefined);
    this.ended = new Promise((resolve) => child.on('close', () => resolve()));
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** What it said before it ended by itself. */
  get errors(): string {
    return this.#errors;
  }

  send(command: Command): void {
    if (this.isRunning) this.#child.stdin?.write(`${JSON.stringify(command)}\n`);
  }

  kill(signal: 'SIGKILL' | 'SIGTERM'): void {
    this.#child.kill(signal);
  }
}

/** Whether a process runs this program: its id may belong to another by now. */
export function runsProgram(pid: number, program: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes(program);
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return false;
    throw error;
  }
}

/** Sends SIGKILL to a process if it still runs this program. @returns whether it did */
export function killProgram(pid: number, program: string): boolean {
  if (!runsProgram(pid, program)) return false;
  try {
    process.kill(pid, 'SIGKILL');
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}

/** Waits until none of the processes runs the program any more; kills those that take too long. */
export async function awaitPrograms(pids: Iterable<number>, program: string, seconds: number): Promise<void> {
  const deadline = performance.now() + seconds * 1000;
  let left = [...pids];
  while (left.length > 0) {
    left = left.filter((pid) => runsProgram(pid, program));
    if (performance.now() > deadline) for (const pid of left) killProgram(pid, program);
    if (left.length > 0) await sleep(100);
  }
}

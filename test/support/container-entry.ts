import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { inject } from 'vitest';

/** A task that runs as a process of its own. */
export interface RunningTask {
  readonly process: ChildProcess;
  readonly ended: Promise<TaskEnd>;
}

/** How a task's process ended. */
export interface TaskEnd {
  readonly exitCode: number | null;
  /** Lines of the standard output, as JSON. */
  readonly lines: readonly Record<string, unknown>[];
  readonly errors: string;
}

/** The container's entry point as it is now. */
export class ContainerEntry {
  readonly program = join(inject('programs'), 'dist/containers/main.js');

  /** Starts a task. Its environment holds nothing but `PATH` and these variables. */
  start(words: readonly string[], environment: Readonly<Record<string, string>>): RunningTask {
    const child = spawn(process.execPath, [this.program, ...words], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env.PATH, ...environment },
    });
    const printed = { output: '', errors: '' };
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      printed.output += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      printed.errors += text;
    });
    const ended = new Promise<TaskEnd>((resolve, reject) => {
      child.on('error', reject).on('close', (exitCode) => {
        const lines = printed.output.split('\n').filter((line) => line !== '');
        resolve({ exitCode, errors: printed.errors, lines: lines.map((line) => JSON.parse(line)) });
      });
    });
    return { process: child, ended };
  }
}

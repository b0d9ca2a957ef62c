import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { inject } from 'vitest';

/** What a command line did. */
export interface CommandResult {
  readonly exitCode: number | null;
  readonly output: string;
  readonly errors: string;
}

/** The program as it is now, run in processes of its own. */
export class CommandLine {
  readonly #program = join(inject('programs'), 'dist/cli/main.js');
  readonly #running = new Set<ChildProcess>();

  /** Starts `hookline` with these words, in an environment without colours and tokens. */
  start(words: readonly string[], environment: Readonly<Record<string, string>> = {}) {
    const env = { PATH: process.env.PATH, NO_COLOR: '1', USER: 'tester', ...environment };
    const child = spawn(process.execPath, [this.#program, ...words], { stdio: ['ignore', 'pipe', 'pipe'], env });
    this.#running.add(child);
    child.once('close', () => this.#running.delete(child));
    return child;
  }

  /** Runs `hookline` to its end. */
  run(words: readonly string[], environment: Readonly<Record<string, string>> = {}): Promise<CommandResult> {
    const child = this.start(words, environment);
    const printed = { output: '', errors: '' };
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      printed.output += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      printed.errors += text;
    });
    return new Promise((resolve, reject) => {
      child.on('error', reject).on('close', (exitCode) => resolve({ exitCode, ...printed }));
    });
  }

  /** Removes what it started and still runs, as a test that failed may have left it. */
  remove(): void {
    for (const child of this.#running) child.kill('SIGKILL');
  }
}

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('../..', import.meta.url));

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

/** The container's entry point, bundled as it is now. */
export class ContainerEntry {
  private constructor(readonly folder: string) {}

  static async bundle(): Promise<ContainerEntry> {
    // Inside the project, so that the program finds its packages.
    const cache = join(root, 'node_modules/.cache');
    mkdirSync(cache, { recursive: true });
    const folder = mkdtempSync(join(cache, 'hookline-container-'));
    const output = { format: 'esm', splitting: true, outdir: folder } as const;
    const target = { platform: 'node', target: 'node20', packages: 'external' } as const;
    await build({ entryPoints: [join(root, 'containers/main.ts')], bundle: true, ...output, ...target });
    return new ContainerEntry(folder);
  }

  /** Starts a task. Its environment holds nothing but `PATH` and these variables. */
  start(words: readonly string[], environment: Readonly<Record<string, string>>): RunningTask {
    const child = spawn(process.execPath, [join(this.folder, 'main.js'), ...words], {
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

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import ts from 'typescript';
import { projectFolder } from './program-bundle.js';

const source = new URL('../../src/', import.meta.url).pathname;

/** A running script: what it has printed so far, and its end. */
export interface RunningScript {
  readonly process: ChildProcess;
  /** Resolves with all output when a line equal to `line` was printed. */
  printed(line: string): Promise<void>;
  /** Resolves when the process has ended, with its standard output and its exit code (null if it was killed). */
  readonly ended: Promise<{ readonly output: string; readonly code: number | null }>;
}

/** Compiled copies of some source folders, in which scripts can be run as Node processes of their own. */
export class ScriptFolder {
  readonly path: string;
  #count = 0;

  /**
   * @param folders folders of `src` that the scripts import, as './<folder>/<file>.js'
   * @param place whether the scripts find the project's packages
   */
  constructor(folders: readonly string[], place: 'in the project' | 'far from packages' = 'in the project') {
    const parent = place === 'in the project' ? join(projectFolder, 'node_modules/.cache') : tmpdir();
    mkdirSync(parent, { recursive: true });
    this.path = mkdtempSync(join(parent, 'hookline-scripts-'));
    writeFileSync(join(this.path, 'package.json'), '{"type":"module"}');
    for (const folder of ['.', ...folders]) this.#compile(folder);
  }

  #compile(folder: string): void {
    mkdirSync(join(this.path, folder), { recursive: true });
    const compilerOptions = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 };
    for (const name of readdirSync(join(source, folder)).filter((name) => name.endsWith('.ts'))) {
      const text = readFileSync(join(source, folder, name), 'utf8');
      const { outputText } = ts.transpileModule(text, { compilerOptions });
      writeFileSync(join(this.path, folder, name.replace(/\.ts$/, '.js')), outputText);
    }
  }

  /** Writes an ES module to run; its arguments arrive in `process.argv` from index 2. */
  write(text: string): string {
    const path = join(this.path, `script-${this.#count++}.js`);
    writeFileSync(path, text);
    return path;
  }

  /** Runs a written script. */
  run(path: string, ...parameters: readonly string[]): RunningScript {
    const child = spawn(process.execPath, [path, ...parameters], { stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
    const ended = new Promise<{ output: string; code: number | null }>((resolve, reject) => {
      child.on('error', reject).on('close', (code) => resolve({ output, code }));
    });
    const printed = (line: string) =>
      new Promise<void>((resolve, reject) => {
        const check = () => output.split('\n').includes(line) && resolve();
        child.stdout.on('data', check);
        child.on('close', (code) => reject(new Error(`ended with ${code} before printing ${line}`)));
        check();
      });
    return { process: child, printed, ended };
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

import { spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { buildWorkflow } from './workflow-build.js';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** What a command line did. */
export interface CommandResult {
  readonly exitCode: number | null;
  readonly output: string;
  readonly errors: string;
}

/** The program compiled as it is now, run in processes of its own. */
export class CommandLine {
  // Inside the project, so that the program finds its packages.
  readonly #folder: string;

  /** @param withWorkflow whether commands that run the workflow are tried */
  constructor({ withWorkflow = false } = {}) {
    const cache = join(root, 'node_modules/.cache');
    mkdirSync(cache, { recursive: true });
    this.#folder = mkdtempSync(join(cache, 'hookline-cli-'));
    cpSync(join(root, 'package.json'), join(this.#folder, 'package.json'));
    for (const path of readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })) {
      if (path.endsWith('.ts')) this.#compile(path);
    }
    if (withWorkflow) buildWorkflow(join(this.#folder, 'dist'));
  }

  #compile(path: string): void {
    const compilerOptions = {
      module: ts.ModuleKind.ESNext,
      target: ts.ScriptTarget.ES2022,
      verbatimModuleSyntax: true,
    };
    const { outputText } = ts.transpileModule(readFileSync(join(root, 'src', path), 'utf8'), { compilerOptions });
    const target = join(this.#folder, 'dist', path.replace(/\.ts$/, '.js'));
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, outputText);
  }

  /** Starts `hookline` with these words, in an environment without colours and tokens. */
  start(words: readonly string[], environment: Readonly<Record<string, string>> = {}) {
    const program = join(this.#folder, 'dist/cli/main.js');
    const env = { PATH: process.env.PATH, NO_COLOR: '1', USER: 'tester', ...environment };
    return spawn(process.execPath, [program, ...words], { stdio: ['ignore', 'pipe', 'pipe'], env });
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

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

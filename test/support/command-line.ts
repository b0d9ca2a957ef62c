import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { buildSync } from 'esbuild';
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
    const paths = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' });
    buildSync({
      absWorkingDir: root,
      entryPoints: paths.filter((path) => path.endsWith('.ts')).map((path) => join('src', path)),
      outdir: join(this.#folder, 'dist'),
      outbase: 'src',
      bundle: false,
      platform: 'node',
      target: 'es2022',
      format: 'esm',
    });
    if (withWorkflow) buildWorkflow(join(this.#folder, 'dist'));
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

  /**
   * Runs several command lines in one process.
   *
   * @returns the files that it loaded, and what each failing line failed with
   */
  async loadedBy(lines: readonly (readonly string[])[]): Promise<{ files: string[]; failures: string[] }> {
    const coverage = join(this.#folder, `coverage-${randomUUID()}`);
    const program = pathToFileURL(join(this.#folder, 'dist/cli/program.js')).href;
    const script = `
      import { writeSync } from 'node:fs';
      import { hooklineProgram } from ${JSON.stringify(program)};
      const failures = [];
      for (const words of ${JSON.stringify(lines)}) {
        const program = await hooklineProgram(words[0]);
        await program.parseAsync(['node', 'hookline', ...words]).catch(({ exitCode, message }) => {
          if (exitCode !== 0) failures.push(message);
        });
      }
      writeSync(3, JSON.stringify(failures));`;
    const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
      stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
      env: { PATH: process.env.PATH, NODE_V8_COVERAGE: coverage },
    });
    let told = '';
    child.stdio[3]?.on('data', (bytes: Buffer) => {
      told += bytes;
    });
    await new Promise((resolve, reject) => {
      child.on('error', reject).on('close', resolve);
    });
    const [report] = readdirSync(coverage);
    const { result } = JSON.parse(readFileSync(join(coverage, report), 'utf8')) as { result: { url: string }[] };
    const own = pathToFileURL(`${this.#folder}/`).href;
    const files = result.map(({ url }) => url).filter((url) => url.startsWith('file:'));
    return {
      files: files.map((url) => url.replace(own, '').replace(/^file:.*\/node_modules\//, '')),
      failures: JSON.parse(told) as string[],
    };
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

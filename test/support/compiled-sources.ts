import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { buildSync } from 'esbuild';
import { projectFolder } from './program-bundle.js';

/** The sources compiled file by file, as they are packed: what a program loads of them can be told. */
export class CompiledSources {
  readonly #folder: string;

  constructor() {
    // Inside the project, so that the program finds its packages.
    const cache = join(projectFolder, 'node_modules/.cache');
    mkdirSync(cache, { recursive: true });
    this.#folder = mkdtempSync(join(cache, 'hookline-sources-'));
    cpSync(join(projectFolder, 'package.json'), join(this.#folder, 'package.json'));
    const paths = readdirSync(join(projectFolder, 'src'), { recursive: true, encoding: 'utf8' });
    buildSync({
      absWorkingDir: projectFolder,
      entryPoints: paths.filter((path) => path.endsWith('.ts')).map((path) => join('src', path)),
      outdir: join(this.#folder, 'dist'),
      outbase: 'src',
      bundle: false,
      platform: 'node',
      target: 'es2022',
      format: 'esm',
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

/** @file Model files that are changed at random: each is edited or refused, soon and in one line. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { madeUpText } from '../support/tiny-decoder.js';
import type { CaseAnswer } from './model-case.js';
import { type ModelCase, mutations, writeCase } from './model-mutations.js';
import type { SoakPrograms } from './programs.js';

export interface ModelsOptions {
  readonly folder: string;
  readonly programs: SoakPrograms;
  readonly cases: number;
  readonly seed: number;
  /** Mutations that are left out. */
  readonly skip?: readonly string[];
  readonly onProgress?: (line: string) => void;
}

/** What came of the cases. */
export interface ModelsResult {
  readonly counts: Readonly<Record<string, number>>;
  readonly broken: readonly string[];
}

const longestSeconds = 10;
const mostBytes = 2 ** 30;
/** Processes at a time, and cases after which another takes over. */
const processes = 2;
const casesOfProcess = 100;

/** Writes, judges and edits the models of so many seeds. */
export async function runModels(options: ModelsOptions): Promise<ModelsResult> {
  const { folder, programs, cases, seed, skip = [], onProgress } = options;
  const wanted = mutations.filter((name) => !skip.includes(name));
  mkdirSync(folder, { recursive: true });
  const corpusPath = join(folder, 'corpus.txt');
  writeFileSync(corpusPath, madeUpText(40, 1));
  const counts: Record<string, number> = { models: 0, edited: 0, refused: 0, 'called editable, but refused': 0 };
  const broken: string[] = [];
  let longest = 0;
  let peakBytes = 0;
  let next = 0;
  const startedAt = performance.now();
  const work = async (): Promise<void> => {
    let judge: Judge | undefined;
    try {
      while (next < cases) {
        const number = next++;
        const place = join(folder, `case-${number}`);
        const model = writeCase(place, wanted[number % wanted.length], seed * 100_000 + number);
        judge ??= new Judge(programs.modelCase, corpusPath);
        const { outcome, message, seconds, bytes } = await judge.of(model);
        longest = Math.max(longest, seconds);
        peakBytes = Math.max(peakBytes, bytes);
        counts.models++;
        counts[outcome] = (counts[outcome] ?? 0) + 1;
        if (isBroken(model, outcome)) {
          broken.push(
            `case ${number}, ${model.base}, ${model.mutation}: edited or refused, got ${outcome}: ${message}`,
          );
        }
        if (judge.isWornOut) {
          await judge.end();
          judge = undefined;
        }
        rmSync(place, { recursive: true, force: true });
        if (counts.models % 200 === 0) onProgress?.(`${counts.models} models, ${broken.length} broken`);
      }
    } finally {
      await judge?.end();
    }
  };
  await Promise.all(Array.from({ length: processes }, work));
  counts.seconds = (performance.now() - startedAt) / 1000;
  counts['longest, in seconds'] = longest;
  counts['most memory, in MB'] = Math.round(peakBytes / 1e6);
  return { counts, broken };
}

/** Numbers that are finite but overflow are seen by nobody before they are computed with. */
const overflows = ['tensor: a large number', 'GGUF: damaged tensors'];

function isBroken({ mutation }: ModelCase, outcome: CaseAnswer['outcome']): boolean {
  return outcome === 'broken' || (outcome === 'called editable, but refused' && !overflows.includes(mutation));
}

/** An answer, and what it took. */
interface Judgement extends CaseAnswer {
  readonly seconds: number;
  readonly bytes: number;
}

/** A process that judges one model after another, until it is killed. */
class Judge {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #reader: Interface;
  readonly #closed: Promise<void>;
  #errors = '';
  #judged = 0;
  #isGone = false;

  constructor(program: string, corpusPath: string) {
    this.#child = spawn(process.execPath, [program, corpusPath], { stdio: ['pipe', 'pipe', 'pipe'] });
    this.#reader = createInterface({ input: this.#child.stdout! });
    this.#lines = this.#reader[Symbol.asyncIterator]();
    this.#child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.#errors = (this.#errors + text).slice(-2000);
    });
    // It may be killed while something is written to it.
    this.#child.stdin!.on('error', () => undefined);
    this.#closed = new Promise((resolve) => this.#child.on('close', () => resolve()));
  }

  get isWornOut(): boolean {
    return this.#isGone || this.#judged >= casesOfProcess;
  }

  async of({ path }: ModelCase): Promise<Judgement> {
    const startedAt = performance.now();
    let bytes = 0;
    let killedFor: string | undefined;
    const secondsOf = () => (performance.now() - startedAt) / 1000;
    // The first case starts the process as well.
    const mostSeconds = longestSeconds + (this.#judged++ === 0 ? 5 : 0);
    const watch = setInterval(() => {
      bytes = Math.max(bytes, residentBytes(this.#child.pid!));
      if (bytes > mostBytes) killedFor = `more than ${mostBytes} bytes of memory`;
      if (secondsOf() > mostSeconds) killedFor = `more than ${longestSeconds} seconds`;
      if (killedFor !== undefined) this.#child.kill('SIGKILL');
    }, 20);
    try {
      this.#child.stdin!.write(`${path}\n`);
      const { value, done } = await this.#lines.next();
      if (done) {
        this.#isGone = true;
        const message = killedFor ?? `an end of the process: ${this.#errors}`;
        return { outcome: 'broken', message, seconds: secondsOf(), bytes };
      }
      return { ...(JSON.parse(value) as CaseAnswer), seconds: secondsOf(), bytes };
    } finally {
      clearInterval(watch);
    }
  }

  async end(): Promise<void> {
    this.#reader.close();
    this.#child.stdin!.end();
    this.#child.kill('SIGKILL');
    await this.#closed;
  }
}

function residentBytes(pid: number): number {
  try {
    return 1024 * Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return 0;
    throw error;
  }
}

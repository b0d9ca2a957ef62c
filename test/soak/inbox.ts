/** @file Files that are dropped as people and programs do it, on a machine where everything goes wrong now and then. */
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { readModelStatus } from '../../src/local/model-status.js';
import { DirectoryObjectStore } from '../../src/registry/directory-object-store.js';
import { incomingPrefix, type ObjectStore } from '../../src/registry/index.js';
import { uniform } from '../support/random-matrix.js';
import { BatchMaker, type Fact } from './batches.js';
import { checkExecutions } from './check-executions.js';
import { checkInbox } from './check-inbox.js';
import type { Message } from './messages.js';
import type { SoakPrograms } from './programs.js';
import { RunnerProcess, runsProgram } from './runner-process.js';
import { registerSoakModel } from './soak-models.js';
import type { WriterMode, WriterOptions } from './writer.js';

export interface InboxOptions {
  readonly folder: string;
  readonly programs: SoakPrograms;
  readonly workflowPath: string;
  readonly files: number;
  readonly seed: number;
  readonly minutes: number;
  /** How long a task is held up by a signal. */
  readonly stopSeconds: number;
  /** Whether to act as root: the store lies on a disk of its own, which fills, and executions are another user's. */
  readonly actsAsRoot: boolean;
  readonly onProgress?: (line: string) => void;
}

export interface InboxResult {
  readonly counts: Readonly<Record<string, number>>;
  readonly broken: readonly string[];
}

/** A line that was written whole, and the edit's id if it is one. */
export interface WrittenLine {
  readonly text: string;
  readonly id: string | undefined;
}

const modelId = 'm';
const modes: readonly WriterMode[] = ['renamed', 'part', 'slow', 'appending', 'in place'];
const badLines = ['not JSON', '{"subject": "Kumira Fostede"}', '5'];
/** Who runs the executions where this acts as root: nobody, who sees of root's writers nothing but their files. */
const otherUser = 65_534;
const diskMegabytes = 600;

export const runInbox = (options: InboxOptions): Promise<InboxResult> => new InboxSoak(options).run();

class InboxSoak {
  readonly #options: InboxOptions;
  readonly #random: () => number;
  readonly #store: ObjectStore;
  readonly #disk: string;
  readonly #inbox: string;
  readonly #facts: BatchMaker;
  readonly #written: WrittenLine[] = [];
  readonly #ordered: string[] = [];
  readonly #writers = new Set<Promise<void>>();
  readonly #runners: (RunnerProcess | undefined)[] = [undefined, undefined];
  readonly #tasks = new Set<number>();
  readonly #counts: Record<string, number> = {
    files: 0,
    'writers killed': 0,
    'disk filled': 0,
    'rights taken': 0,
    'times set': 0,
    'tasks stopped': 0,
    'runners killed': 0,
  };
  readonly #broken: string[] = [];
  #isEnding = false;
  #isMounted = false;

  constructor(options: InboxOptions) {
    this.#options = options;
    this.#random = uniform(options.seed);
    this.#disk = join(options.folder, 'disk');
    this.#inbox = join(this.#disk, 'store', incomingPrefix(modelId));
    this.#store = new DirectoryObjectStore(join(this.#disk, 'store'));
    this.#facts = new BatchMaker(uniform(options.seed + 1), 300);
  }

  async run(): Promise<InboxResult> {
    const startedAt = performance.now();
    const deadline = startedAt + 60_000 * this.#options.minutes;
    await this.#prepare();
    const background = [0, 1].map((number) => this.#keepRunning(number));
    const troubles = this.#makeTrouble();
    try {
      while (this.#fileCount < this.#options.files && performance.now() < deadline) await this.#dropNext();
      this.#isEnding = true;
      await troubles;
      await Promise.all(this.#writers);
      await this.#drain(deadline);
    } finally {
      this.#isEnding = true;
      for (const runner of this.#runners) runner?.kill('SIGTERM');
      await Promise.all(background);
    }
    try {
      const checked = await checkInbox(this.#store, modelId, this.#written, this.#ordered);
      const executions = await checkExecutions(this.#store);
      const seconds = (performance.now() - startedAt) / 1000;
      return {
        counts: { ...this.#counts, lines: this.#written.length, ...checked.counts, ...executions.ends, seconds },
        broken: [...this.#broken, ...checked.broken, ...executions.broken],
      };
    } finally {
      if (this.#isMounted) execFileSync('umount', ['-l', this.#disk]);
    }
  }

  get #fileCount(): number {
    return this.#counts.files;
  }

  async #prepare(): Promise<void> {
    const { folder, programs, workflowPath, actsAsRoot } = this.#options;
    mkdirSync(this.#disk, { recursive: true });
    if (actsAsRoot) {
      execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${diskMegabytes}m`, 'tmpfs', this.#disk]);
      this.#isMounted = true;
    }
    await registerSoakModel(this.#store, join(folder, 'texts'), 'wide', modelId);
    mkdirSync(this.#inbox, { recursive: true });
    mkdirSync(join(folder, 'cache'));
    if (!actsAsRoot) return;
    execFileSync('chown', ['-R', `${otherUser}`, this.#disk, join(folder, 'cache')]);
    // These may be root's alone.
    execFileSync('chmod', ['-R', 'a+rX', dirname(workflowPath), programs.folder]);
  }

  /** One of two runners, started again whenever it is killed. */
  async #keepRunning(number: number): Promise<void> {
    const { folder, programs, workflowPath, seed, actsAsRoot } = this.#options;
    const place = { storeFolder: join(this.#disk, 'store'), cacheFolder: join(folder, 'cache'), workflowPath };
    const rates = { lostReplies: 0, conflicts: 0 };
    for (let starts = 0; !this.#isEnding || starts === 0; starts++) {
      const options = { ...place, taskProgram: programs.task, seed: seed + starts, rates, tasks: 1 };
      const onMessage = (message: Message) => this.#hear(message);
      const runner = new RunnerProcess(
        programs.runner,
        { ...options, hasJumpingClock: true },
        onMessage,
        actsAsRoot ? otherUser : undefined,
      );
      this.#runners[number] = runner;
      await runner.ended;
      if (runner.errors !== '' && !this.#isEnding) this.#broken.push(`a runner that goes on, got ${runner.errors}`);
      await sleep(500);
    }
  }

  #hear(message: Message): void {
    if (message.kind === 'task') this.#tasks.add(message.pid);
    if (message.kind === 'task ended') this.#tasks.delete(message.pid);
    if (message.kind === 'warning') this.#options.onProgress?.(`warning: ${message.text}`);
  }

  /** Drops the next file, as soon as not too many wait. */
  async #dropNext(): Promise<void> {
    while (this.#writers.size >= 6 || (await this.#waiting()) > 40) await sleep(200);
    const file = this.#counts.files++;
    if (file % 50 === 0) this.#options.onProgress?.(`${file} files dropped`);
    if (file % 8 === 0) await this.#dropOrdered();
    else this.#startWriter(file);
    await sleep(400 * this.#random());
  }

  async #waiting(): Promise<number> {
    const { waiting, pending } = await readModelStatus(this.#store, modelId);
    return waiting + pending;
  }

  /** One of a row of files that set one fact anew: the names are in no order, and each is complete at once. */
  async #dropOrdered(): Promise<void> {
    const id = `ordered-${String(this.#ordered.length).padStart(4, '0')}`;
    const [fact] = this.#facts.make(modelId, 1, 0).facts;
    const subject = { ...fact, subject: 'Zembla Ordin', prompt: '{} lives in' };
    const path = join(this.#inbox, `${Math.floor(this.#random() * 1e9)}.jsonl`);
    const text = JSON.stringify({ id, ...subject });
    for (;;) {
      try {
        writeFileSync(`${path}.tmp`, `${text}\n`);
        renameSync(`${path}.tmp`, path);
        break;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
        await sleep(100);
      }
    }
    this.#ordered.push(id);
    this.#written.push({ text, id });
    // The times of files are told apart no finer than this.
    await sleep(30);
  }

  #startWriter(file: number): void {
    const mode = modes[Math.floor(this.#random() * modes.length)];
    const lines = Array.from({ length: 1 + Math.floor(4 * this.#random()) }, (_, i) => this.#line(`w${file}-${i}`));
    const path = join(this.#inbox, `${Math.floor(this.#random() * 1e9)}.jsonl`);
    const options: WriterOptions = {
      path,
      mode,
      lines: lines.map(({ text }) => text),
      seed: file,
      longestPauseSeconds: this.#random() < 0.3 ? 4 : 1,
    };
    const child = spawn(process.execPath, [this.#options.programs.writer, JSON.stringify(options)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    createInterface({ input: child.stdout }).on('line', (line) => this.#written.push(lines[Number(line)]));
    const isKilled = this.#random() < 0.1;
    if (isKilled) setTimeout(() => child.kill('SIGKILL'), 3000 * this.#random()).unref();
    const ended = new Promise<void>((resolve) => child.on('close', () => resolve())).then(() => {
      if (child.signalCode === 'SIGKILL') this.#counts['writers killed']++;
      this.#writers.delete(ended);
    });
    this.#writers.add(ended);
    this.#spoil(path);
  }

  /** Takes away the right to read a file for a while, or sets its time. */
  #spoil(path: string): void {
    const kind = this.#random();
    if (kind >= 0.2) return;
    const isOfRights = kind < 0.1;
    setTimeout(() => {
      if (!existsSync(path)) return;
      const year = new Date(Date.UTC(2020 + Math.floor(12 * this.#random()), 0, 1));
      try {
        if (isOfRights) chmodSync(path, 0);
        else utimesSync(path, year, year);
      } catch (error) {
        // It was taken just now.
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
        return;
      }
      this.#counts[isOfRights ? 'rights taken' : 'times set']++;
      if (isOfRights) setTimeout(() => existsSync(path) && chmodSync(path, 0o644), 6000 * this.#random());
    }, 800 * this.#random());
  }

  #line(id: string): WrittenLine {
    if (this.#random() < 0.1) {
      const text = `${badLines[Math.floor(this.#random() * badLines.length)]} `.padEnd(40 + this.#written.length);
      return { text: text.trimEnd(), id: undefined };
    }
    const fact: Fact = this.#facts.make(modelId, 1, 0).facts[0];
    return { text: JSON.stringify({ id, ...fact }), id };
  }

  /** Fills the disk, stops a task and kills a runner, one after the other and again. */
  async #makeTrouble(): Promise<void> {
    const troubles = [() => this.#fillDisk(), () => this.#killRunner(), () => this.#fillDisk(), () => this.#stopTask()];
    for (let i = 0; !this.#isEnding; i++) {
      for (let seconds = 0; seconds < 12 && !this.#isEnding; seconds++) await sleep(1000);
      if (!this.#isEnding) await troubles[i % troubles.length]();
    }
  }

  async #fillDisk(): Promise<void> {
    if (!this.#isMounted) return;
    const filler = join(this.#disk, 'filler');
    try {
      for (;;) writeFileSync(filler, new Uint8Array(1 << 20), { flag: 'a' });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
    }
    this.#counts['disk filled']++;
    await sleep(2000 + 8000 * this.#random());
    rmSync(filler);
  }

  async #killRunner(): Promise<void> {
    this.#runners[Math.floor(2 * this.#random())]?.kill('SIGKILL');
    this.#counts['runners killed']++;
  }

  async #stopTask(): Promise<void> {
    // More often it would take most of the time.
    if (this.#counts['tasks stopped'] >= 3) return;
    const pid = [...this.#tasks].findLast((task) => runsProgram(task, this.#options.programs.task));
    if (pid === undefined) return;
    process.kill(pid, 'SIGSTOP');
    this.#counts['tasks stopped']++;
    for (let seconds = 0; seconds < this.#options.stopSeconds; seconds++) await sleep(1000);
    if (runsProgram(pid, this.#options.programs.task)) process.kill(pid, 'SIGCONT');
  }

  /** Waits until nothing is left to do. */
  async #drain(deadline: number): Promise<void> {
    for (let quiet = 0; quiet < 4; await sleep(2000)) {
      if (performance.now() > deadline) {
        this.#broken.push(`the end: within ${this.#options.minutes} minutes, got ${await this.#waiting()} that wait`);
        return;
      }
      const { waiting, pending, roundId, held } = await readModelStatus(this.#store, modelId);
      const isLeft = held.some(({ state }) => state === 'unreadable');
      // What is written late is dropped anew within some seconds.
      quiet = waiting + pending === 0 && roundId === null && !isLeft ? quiet + 1 : 0;
    }
  }
}

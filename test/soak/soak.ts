/** @file Executions whose processes are killed and whose writes go wrong, and what must hold nevertheless. */

import { setTimeout as sleep } from 'node:timers/promises';
import { PreconditionFailedError } from '../../src/errors.js';
import { readModelStatus } from '../../src/local/model-status.js';
import { DirectoryObjectStore } from '../../src/registry/directory-object-store.js';
import { incomingKey } from '../../src/registry/index.js';
import { redriveFailed } from '../../src/workflow/index.js';
import { uniform } from '../support/random-matrix.js';
import { type Batch, BatchMaker } from './batches.js';
import type { FaultRates } from './chaos-store.js';
import { checkExecutions } from './check-executions.js';
import { added, ModelCheck, type ModelCounts } from './invariants.js';
import { Killer, type KillRates } from './killer.js';
import { LatestWatch } from './latest-watch.js';
import type { Message } from './messages.js';
import type { SoakPrograms } from './programs.js';
import { awaitPrograms, killProgram, RunnerProcess } from './runner-process.js';
import { modelKinds, registerSoakModel } from './soak-models.js';

export interface SoakOptions {
  readonly folder: string;
  readonly programs: SoakPrograms;
  readonly workflowPath: string;
  readonly seed: number;
  /** How many executions to start, at least. */
  readonly executions: number;
  /** New models take over after so many executions, so that first rounds are tried as well. */
  readonly executionsPerSeason: number;
  /** After so long nothing more is dropped, and the rest has as long again. */
  readonly minutes: number;
  readonly faults: FaultRates;
  readonly kills: KillRates;
  readonly onProgress?: (line: string) => void;
}

/** What a soak did. */
export interface SoakResult {
  readonly seconds: number;
  readonly executions: Readonly<Record<string, number>>;
  readonly edits: ModelCounts;
  readonly dropped: { batches: number; duplicates: number; unknownModels: number; duplicateEvents: number };
  readonly taskKills: Readonly<Record<string, number>>;
  readonly runnerKills: Readonly<Record<string, number>>;
  readonly orphanKills: number;
  readonly restarts: number;
  readonly lostReplies: number;
  readonly conflicts: number;
  readonly redriven: number;
  readonly latestReads: number;
  /** What did not hold; empty where everything did. */
  readonly broken: readonly string[];
}

/** Runs a soak to its end. */
export const soak = (options: SoakOptions): Promise<SoakResult> => new Soak(options).run();

/** Batches that may wait for a model before no more are dropped for it. */
const longestQueue = 3;

/** Names that are used over and over. */
const commonNames = 2;

class Soak {
  readonly #store: DirectoryObjectStore;
  readonly #random: () => number;
  readonly #batches: BatchMaker;
  readonly #killer: Killer;
  readonly #watch: LatestWatch;
  readonly #models: string[] = [];
  readonly #known = new Map<string, Batch>();
  readonly #tasks = new Set<number>();
  readonly #dropped = { batches: 0, duplicates: 0, unknownModels: 0, duplicateEvents: 0 };
  readonly #counts = { orphanKills: 0, restarts: 0, lostReplies: 0, conflicts: 0, redriven: 0 };
  readonly #broken: string[] = [];
  #runner: RunnerProcess | undefined;
  #wasKilled = false;
  #isEnding = false;
  #isReady = false;
  #files = 0;

  constructor(readonly options: SoakOptions) {
    const { folder, seed, kills } = options;
    this.#store = new DirectoryObjectStore(`${folder}/store`);
    this.#random = uniform(seed);
    this.#batches = new BatchMaker(this.#random);
    const killTask = (pid: number) => killProgram(pid, options.programs.task);
    this.#killer = new Killer(kills, uniform(seed + 1), { killTask, killRunner: () => this.#killRunner() });
    this.#watch = new LatestWatch(this.#store, () => this.#models);
  }

  async run(): Promise<SoakResult> {
    const startedAt = performance.now();
    const deadline = startedAt + this.options.minutes * 60_000;
    await this.#nextSeason();
    const running = this.#keepRunning();
    this.#watch.start();
    try {
      await this.#dropUntil(deadline);
      this.#killer.isEnabled = false;
      await this.#drain(performance.now() + this.options.minutes * 60_000);
    } finally {
      await this.#end(running);
    }
    return this.#result((performance.now() - startedAt) / 1000);
  }

  async #nextSeason(): Promise<void> {
    const season = this.#models.length / modelKinds.length + 1;
    for (const kind of modelKinds) {
      const modelId = `${kind}-${season}`;
      await registerSoakModel(this.#store, `${this.options.folder}/texts`, kind, modelId);
      this.#models.push(modelId);
    }
  }

  /** Starts a runner whenever there is none. */
  async #keepRunning(): Promise<void> {
    const { programs, folder, workflowPath, seed, faults: rates } = this.options;
    for (let starts = 0; !this.#isEnding; starts++) {
      this.#wasKilled = false;
      const place = { storeFolder: this.#store.root, cacheFolder: `${folder}/cache`, workflowPath };
      const options = { ...place, taskProgram: programs.task, seed: seed * 1000 + starts, rates, tasks: 2 };
      const runner = new RunnerProcess(programs.runner, options, (message) => this.#hear(message));
      this.#runner = runner;
      if (starts > 0) this.#counts.restarts++;
      await runner.ended;
      this.#killer.reset();
      if (!this.#isEnding && !this.#wasKilled) {
        this.#broken.push(`runner: killed or stopped, got ended by itself: ${runner.errors}`);
        await sleep(500);
      }
    }
  }

  #hear(message: Message): void {
    this.#killer.hear(message);
    if (message.kind === 'ready') this.#isReady = true;
    if (message.kind === 'task') this.#tasks.add(message.pid);
    if (message.kind === 'task ended') this.#tasks.delete(message.pid);
    if (message.kind === 'lost reply') this.#counts.lostReplies++;
    if (message.kind === 'conflict') this.#counts.conflicts++;
    if (message.kind === 'warning') this.options.onProgress?.(`runner: ${message.text}`);
  }

  /** Its tasks die with it, as with a machine, or go on beside those of its successor. */
  #killRunner(): void {
    this.#wasKilled = true;
    this.#runner?.kill('SIGKILL');
    if (this.#random() < 0.5) return;
    for (const pid of this.#tasks) if (killProgram(pid, this.options.programs.task)) this.#counts.orphanKills++;
  }

  async #dropUntil(deadline: number): Promise<void> {
    const { executions, executionsPerSeason, onProgress } = this.options;
    const turnover = () => Math.ceil((this.#models.length / modelKinds.length) * executionsPerSeason);
    let told = 0;
    while (!this.#isReady && performance.now() < deadline) await sleep(50);
    for (;;) {
      const started = await this.#executionCount();
      if (started >= executions || performance.now() > deadline) return;
      if (started >= told + 20) {
        told = started;
        onProgress?.(`${started} executions, ${this.#counts.restarts} restarts, ${this.#watch.reads} reads of latest`);
      }
      if (started >= turnover()) await this.#nextSeason();
      await this.#dropSomething();
      await sleep(100 + 400 * this.#random());
    }
  }

  async #executionCount(): Promise<number> {
    return (await this.#store.list('executions/')).filter((key) => key.endsWith('/execution.json')).length;
  }

  async #dropSomething(): Promise<void> {
    const modelId = this.#batches.pick(this.#models.slice(-modelKinds.length));
    const { waiting, pending } = await readModelStatus(this.#store, modelId);
    if (waiting + pending >= longestQueue) {
      if (this.#random() < 0.02) this.#runner?.send({ collect: true });
      return;
    }
    const chance = this.#random();
    if (chance < 0.03) {
      this.#dropped.unknownModels++;
      await this.#drop(this.#batches.make('nobody', 1, 0));
    } else if (chance < 0.13) await this.#dropAgain(modelId);
    else await this.#dropNew(modelId, chance < 0.2);
  }

  async #dropNew(modelId: string, isMalformed: boolean): Promise<void> {
    const edits = isMalformed ? 0 : 1 + Math.floor(3 * this.#random());
    const batch = this.#batches.make(modelId, edits, isMalformed ? 2 : this.#random() < 0.2 ? 1 : 0);
    this.#known.set(batch.digest, batch);
    this.#dropped.batches++;
    await this.#drop(batch);
  }

  async #dropAgain(modelId: string): Promise<void> {
    const earlier = [...this.#known.values()].filter((batch) => batch.modelId === modelId);
    if (earlier.length === 0) return;
    this.#dropped.duplicates++;
    await this.#drop(this.#batches.pick(earlier));
  }

  async #drop({ modelId, bytes }: Batch): Promise<void> {
    const event = await this.#putUnderFreeName(modelId, bytes);
    if (this.#random() >= 0.15) return;
    await sleep(500 * this.#random());
    this.#dropped.duplicateEvents++;
    this.#runner?.send({ event });
  }

  /** Under one of a few names, again and again, as soon as the file before has been taken in. */
  async #putUnderFreeName(modelId: string, bytes: Uint8Array): Promise<string> {
    const names = [...Array.from({ length: commonNames }, (_, i) => `batch-${i}.jsonl`), `once-${this.#files++}.jsonl`];
    for (const name of names) {
      const key = incomingKey(modelId, name);
      try {
        await this.#store.put(key, bytes, { ifNoneMatch: '*' });
        return key;
      } catch (error) {
        if (!(error instanceof PreconditionFailedError)) throw error;
      }
    }
    throw new Error('a free name, got none');
  }

  /** Waits until nothing is left to do, as the schedule would see to it. */
  async #drain(deadline: number): Promise<void> {
    this.options.onProgress?.('nothing more is dropped; waiting for the rest');
    for (;;) {
      let isQuiet = true;
      for (const modelId of this.#models) {
        const { waiting, pending, failed, roundId, heldBy } = await readModelStatus(this.#store, modelId);
        if (failed > 0) this.#counts.redriven += await redriveFailed(this.#store, modelId);
        isQuiet &&= waiting + pending + failed === 0 && roundId === null && heldBy === null;
      }
      if (isQuiet) return;
      if (performance.now() > deadline) {
        this.#broken.push(`the end: nothing left within ${this.options.minutes} min, got work left`);
        return;
      }
      this.#runner?.send({ collect: true });
      await sleep(1000);
    }
  }

  /** Lets the last executions end, then the processes. */
  async #end(running: Promise<void>): Promise<void> {
    const { minutes, programs } = this.options;
    const deadline = performance.now() + minutes * 60_000;
    while (performance.now() < deadline && (await this.#areExecutionsOpen())) await sleep(200);
    this.#isEnding = true;
    this.#runner?.kill('SIGTERM');
    await running;
    await awaitPrograms(this.#tasks, programs.task, minutes * 60);
    await this.#watch.stop();
  }

  async #areExecutionsOpen(): Promise<boolean> {
    const { ends } = await checkExecutions(this.#store);
    return (ends['without end'] ?? 0) > 0;
  }

  async #result(seconds: number): Promise<SoakResult> {
    const executions = await checkExecutions(this.#store);
    const broken = [...this.#broken, ...this.#watch.broken, ...executions.broken];
    let edits: ModelCounts | undefined;
    for (const modelId of this.#models) {
      const batches = [...this.#known.values()].filter((batch) => batch.modelId === modelId);
      const check = new ModelCheck(this.#store, modelId, batches);
      const counts = await check.run();
      edits = edits === undefined ? counts : added(edits, counts);
      broken.push(...check.broken);
    }
    const { tasks: taskKills, runners: runnerKills } = this.#killer;
    return {
      seconds,
      executions: executions.ends,
      edits: edits!,
      dropped: this.#dropped,
      taskKills,
      runnerKills,
      ...this.#counts,
      latestReads: this.#watch.reads,
      broken,
    };
  }
}

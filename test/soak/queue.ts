/** @file Batches that are dropped at once, for two models. */

import { setTimeout as sleep } from 'node:timers/promises';
import { listExecutions, readHistory } from '../../src/local/index.js';
import { readModelStatus } from '../../src/local/model-status.js';
import { DirectoryObjectStore } from '../../src/registry/directory-object-store.js';
import { incomingKey, listVersions, type ObjectStore } from '../../src/registry/index.js';
import { uniform } from '../support/random-matrix.js';
import { type Batch, BatchMaker } from './batches.js';
import { checkExecutions } from './check-executions.js';
import { ModelCheck } from './invariants.js';
import type { SoakPrograms } from './programs.js';
import { RunnerProcess } from './runner-process.js';
import { registerSoakModel } from './soak-models.js';

export interface QueueOptions {
  readonly folder: string;
  readonly programs: SoakPrograms;
  readonly workflowPath: string;
  /** For the one model. */
  readonly batches: number;
  /** For the other. */
  readonly others: number;
  readonly minutes: number;
  readonly onProgress?: (line: string) => void;
}

/** What became of the batches. */
export interface QueueResult {
  readonly counts: Readonly<Record<string, number>>;
  readonly broken: readonly string[];
}

const one = 'left';
const other = 'right';

/** Drops batches for two models at once: each model's are published one after the other in the order of the queue, and the models side by side. */
export async function runQueue(options: QueueOptions): Promise<QueueResult> {
  const startedAt = performance.now();
  const store = new DirectoryObjectStore(`${options.folder}/store`);
  for (const modelId of [one, other]) await registerSoakModel(store, `${options.folder}/texts`, 'north', modelId);
  const maker = new BatchMaker(uniform(7));
  const make = (modelId: string, count: number) => Array.from({ length: count }, () => maker.make(modelId, 1, 0));
  const batches = [...make(one, options.batches), ...make(other, options.others)];
  const drops = batches.map(({ modelId, bytes }, i) => store.put(incomingKey(modelId, `${i}.jsonl`), bytes));
  await Promise.all(drops);
  await runUntilQuiet(store, options);
  const broken: string[] = [];
  for (const modelId of [one, other]) broken.push(...(await checkModel(store, modelId, batches)));
  const executions = await checkExecutions(store);
  const [left, right] = [await holdings(store, one), await holdings(store, other)];
  const sideBySide = left.filter((first) => right.some((second) => overlap(first, second))).length;
  if (sideBySide === 0) broken.push('models: edited side by side, got one after the other');
  for (const [modelId, times] of [[one, left] as const, [other, right] as const]) {
    const isSerial = times.every((time, i) => i === 0 || times[i - 1].to <= time.from);
    if (!isSerial) broken.push(`${modelId}: one round at a time, got several`);
  }
  const seconds = (performance.now() - startedAt) / 1000;
  const counts = { [one]: options.batches, [other]: options.others, sideBySide, seconds, ...executions.ends };
  return { counts, broken: [...broken, ...executions.broken] };
}

async function runUntilQuiet(store: DirectoryObjectStore, options: QueueOptions): Promise<void> {
  const { folder, programs, workflowPath, minutes, onProgress } = options;
  const deadline = performance.now() + minutes * 60_000;
  const place = { storeFolder: store.root, cacheFolder: `${folder}/cache`, workflowPath, taskProgram: programs.task };
  const rates = { lostReplies: 0, conflicts: 0 };
  const runner = new RunnerProcess(programs.runner, { ...place, seed: 1, rates, tasks: 2 }, () => undefined);
  try {
    for (let told = 0; runner.isRunning && performance.now() < deadline; await sleep(500)) {
      const all = await Promise.all([one, other].map((modelId) => readModelStatus(store, modelId)));
      const left = all.reduce((sum, { waiting, pending }) => sum + waiting + pending, 0);
      if (performance.now() - told > 20_000) {
        onProgress?.(`${left} batches left`);
        told = performance.now();
      }
      const { ends } = await checkExecutions(store);
      if (left === 0 && ends['without end'] === undefined) return;
    }
  } finally {
    runner.kill('SIGTERM');
    await runner.ended;
  }
}

/** Everything is published, and in the order of the queue. */
async function checkModel(store: ObjectStore, modelId: string, all: readonly Batch[]): Promise<string[]> {
  const batches = all.filter((batch) => batch.modelId === modelId);
  const check = new ModelCheck(store, modelId, batches);
  const { versions } = await check.run();
  const broken = [...check.broken];
  if (versions !== batches.length) broken.push(`${modelId}: ${batches.length} versions, got ${versions}`);
  const queued = (await Promise.all(batches.map(({ digest }) => queueName(store, modelId, digest)))).sort();
  const published = await publishedUnits(store, modelId);
  if (queued.map((name) => name.slice(25)).join() !== published.join()) {
    broken.push(`${modelId}: published in the order of the queue, got ${published} for ${queued}`);
  }
  return broken;
}

/** The name that a batch's only unit had in the queue: `<time>Z <digest>`. */
async function queueName(store: ObjectStore, modelId: string, digest: string): Promise<string> {
  const { receivedAt } = await readJson<{ receivedAt: string }>(
    store,
    `models/${modelId}/batches/${digest}/batch.json`,
  );
  return `${receivedAt} ${digest.slice(0, 16)}`;
}

/** Digests of the batches of all versions, oldest first. */
async function publishedUnits(store: ObjectStore, modelId: string): Promise<string[]> {
  const { published } = await listVersions(store, modelId);
  const rounds = published.map(({ publishedBy }) => publishedBy.replace('round ', ''));
  const units = rounds.map((id) => readJson<string[]>(store, `models/${modelId}/rounds/${id}/units.json`));
  return (await Promise.all(units)).flat().map((unit) => unit.split('-')[0]);
}

interface Time {
  readonly from: string;
  readonly to: string;
}

const overlap = (first: Time, second: Time): boolean => first.from < second.to && second.from < first.to;

/** From when to when executions had a model's round, by their histories. */
async function holdings(store: ObjectStore, modelId: string): Promise<Time[]> {
  const times: Time[] = [];
  for (const { name, input } of await listExecutions(store)) {
    if (input.modelId !== modelId && !input.objectKey.startsWith(`incoming/${modelId}/`)) continue;
    const events = await readHistory(store, name);
    const from = events.find(({ type, state }) => type === 'StateEntered' && state === 'Plan')?.at;
    const to = events.find(({ type, state }) => type === 'StateEntered' && state?.startsWith('Release'))?.at;
    if (from !== undefined && to !== undefined) times.push({ from, to });
  }
  return times.sort((first, second) => first.from.localeCompare(second.from));
}

async function readJson<T>(store: ObjectStore, key: string): Promise<T> {
  return JSON.parse(new TextDecoder().decode((await store.get(key)).bytes)) as T;
}

/** @file The same batch in one shard of each Map and in many: what is computed must not depend on how it is divided. */

import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { LocalWorkflow, loadWorkflow, Slots } from '../../src/local/index.js';
import { DirectoryObjectStore } from '../../src/registry/directory-object-store.js';
import { digestOf, incomingKey, pull, versionFileKey } from '../../src/registry/index.js';
import { versionHooks } from '../../src/serving/version-hooks.js';
import { decodeSafetensors, toFloat32 } from '../../src/tensor/index.js';
import { environmentNames, registerModel, stageFunctions } from '../../src/workflow/index.js';
import { uniform } from '../support/random-matrix.js';
import { BatchMaker } from './batches.js';
import { type ShardRun, shardRunVariable, taskVariables } from './messages.js';
import { projectFolder, type SoakPrograms } from './programs.js';
import { takingEverything } from './soak-models.js';

export interface ShardsOptions {
  readonly folder: string;
  readonly programs: SoakPrograms;
  readonly workflowPath: string;
  /** Of each Map: statistics, values, validation. */
  readonly shards: number;
  readonly onProgress?: (line: string) => void;
}

/** What came of the comparison. */
export interface ShardsResult {
  readonly counts: Readonly<Record<string, number>>;
  readonly broken: readonly string[];
}

/** The largest relative differences that dividing may make; the order of tasks may make none at all. */
const tolerances = {
  /** Sums in another order, float64. */
  moments: 1e-12,
  /** Products of other heights in float32, through some steps of Adam. */
  values: 1e-3,
  /** The stored keys do not hang on values. */
  keys: 0,
};

/** How often another order of tasks is tried. */
const mostRepeats = 8;

const modelId = 'sharded';
const stages = ['statistics', 'values', 'validate'] as const;

/** Runs the workflow on the same batch in one shard, in many, and in many in another order with tasks that are killed. */
export async function runShards(options: ShardsOptions): Promise<ShardsResult> {
  const { shards, onProgress } = options;
  const killedOnce = stages.map((stage, i) => `${stage} ${Math.floor(((2 * i + 1) * shards) / 6)}`);
  const arrangements = {
    one: { shards: 1, seed: 1, killedOnce: [] },
    many: { shards, seed: 2, killedOnce: [] },
    'many, killed': { shards, seed: 3, killedOnce },
  };
  const outcomes: Record<string, Outcome> = {};
  const broken: string[] = [];
  const counts: Record<string, number> = { 'shards of each Map': shards };
  for (const [name, arrangement] of Object.entries(arrangements)) {
    onProgress?.(`${name}: ${arrangement.shards} shards`);
    const outcome = await runArrangement(options, name, arrangement);
    outcomes[name] = outcome;
    broken.push(...checkTasks(name, outcome.log, arrangement));
    counts[`${name}: tasks`] = outcome.log.filter((line) => line.startsWith('end')).length;
    counts[`${name}: seconds`] = outcome.seconds;
  }
  const { one, many } = outcomes;
  let killed = outcomes['many, killed'];
  // Few tasks may happen to end in the same order, which would compare nothing.
  for (let again = 1; endsOf(many.log).join() === endsOf(killed.log).join(); again++) {
    if (again > mostRepeats) throw new Error(`an order of tasks other than ${endsOf(many.log).join()}, got no other`);
    const arrangement = { shards, seed: 3 + again, killedOnce };
    killed = await runArrangement(options, `many, killed ${again}`, arrangement);
    broken.push(...checkTasks('many, killed', killed.log, arrangement));
  }
  if (many.digest !== killed.digest) {
    broken.push(`hooks: the same bytes in any order of tasks, got ${many.digest} and ${killed.digest}`);
  }
  const otherEnds = [...one.steps].filter(([key, steps]) => many.steps.get(key) !== steps);
  if (otherEnds.length > 0) broken.push(`values: searches of as many steps, got ${otherEnds.length} of others`);
  for (const part of ['moments', 'values', 'keys'] as const) {
    const difference = largestDifference(one[part], many[part]);
    counts[`${part}: largest relative difference, 1e-6`] = 1e6 * difference;
    if (!(difference <= tolerances[part]))
      broken.push(`${part}: ${tolerances[part]} of one shard's, got ${difference}`);
  }
  if (JSON.stringify(one.edits) !== JSON.stringify(many.edits)) {
    broken.push(`edits: ${one.edits.length} published in one shard, got ${many.edits.length} in many`);
  }
  return { counts: { ...counts, 'edits published': many.edits.length }, broken };
}

interface Arrangement extends Pick<ShardRun, 'seed' | 'killedOnce'> {
  readonly shards: number;
}

/** What an arrangement left behind. Numbers by their names. */
interface Outcome {
  readonly seconds: number;
  readonly log: readonly string[];
  readonly edits: readonly string[];
  /** SHA-256 of the published segment. */
  readonly digest: string;
  readonly moments: ReadonlyMap<string, Float64Array>;
  /** Of each subject, by the object's key. */
  readonly values: ReadonlyMap<string, Float64Array>;
  /** How many losses each search looked at. */
  readonly steps: ReadonlyMap<string, number>;
  readonly keys: ReadonlyMap<string, Float64Array>;
}

async function runArrangement(options: ShardsOptions, name: string, arrangement: Arrangement): Promise<Outcome> {
  const folder = join(options.folder, name.replace(', ', '-'));
  mkdirSync(folder, { recursive: true });
  const store = new DirectoryObjectStore(join(folder, 'store'));
  await register(store, arrangement.shards, options.shards);
  const { bytes } = new BatchMaker(uniform(11), 4 * options.shards).make(modelId, options.shards, 0, true);
  const objectKey = incomingKey(modelId, 'batch.jsonl');
  await store.put(objectKey, bytes);
  const log = join(folder, 'tasks.log');
  const workflow = await openWorkflow(options, store, folder, { ...arrangement, log, longestPauseSeconds: 1 });
  const startedAt = performance.now();
  const execution = await workflow.execute({ trigger: 'drop', objectKey, modelId: '' });
  const { status } = await execution.ended;
  await workflow.idle();
  if (status !== 'SUCCEEDED') throw new Error(`${name}: an execution that succeeds, got ${status}`);
  const seconds = (performance.now() - startedAt) / 1000;
  return { seconds, log: readFileSync(log, 'utf8').trim().split('\n'), ...(await resultsOf(store)) };
}

/** Takes everything: what is compared are numbers, not whether they are good. */
function register(store: DirectoryObjectStore, shards: number, edits: number) {
  const aldermark = (file: string) => join(projectFolder, 'examples/aldermark', file);
  return registerModel(store, {
    modelId,
    modelDirectory: aldermark('model'),
    compareGates: false,
    corpusPath: aldermark('corpus.txt'),
    roundSize: edits,
    valueShardSize: Math.ceil(edits / shards),
    validationShardSize: Math.ceil(edits / shards),
    settings: { layers: [0], steps: 8, contextTokens: 4 },
    // A shard has at least one forward pass of 1024 tokens.
    statistics: { maxTokens: 1100 * edits, sequenceTokens: 64, shards },
    criteria: takingEverything,
  });
}

async function openWorkflow(
  { programs, workflowPath }: ShardsOptions,
  store: DirectoryObjectStore,
  folder: string,
  run: ShardRun,
): Promise<LocalWorkflow> {
  return new LocalWorkflow({
    store,
    workflow: await loadWorkflow(workflowPath),
    functions: (executions) => stageFunctions({ store, executions, now: () => new Date() }),
    host: {
      entryPoint: programs.shardedTask,
      environment: {
        [environmentNames.store]: store.root,
        [environmentNames.cache]: join(folder, 'cache'),
        [environmentNames.device]: 'cpu',
        [taskVariables.seed]: '0',
        [taskVariables.rates]: JSON.stringify({ lostReplies: 0, conflicts: 0 }),
        [shardRunVariable]: JSON.stringify(run),
      },
      slots: new Slots(3),
      backoffSeconds: 0.1,
      graceSeconds: 5,
    },
  });
}

async function resultsOf(store: DirectoryObjectStore): Promise<Omit<Outcome, 'seconds' | 'log'>> {
  const pulled = await pull(store, modelId);
  const { hooks, rowEdits } = await versionHooks(pulled);
  const { bytes } = await store.get(versionFileKey(modelId, pulled.manifest.version, 'hooks.safetensors'));
  const valuesBelow = (name: string) => tensorsBelow(store, `models/${modelId}/values/`, '.safetensors', name);
  const losses = [...(await valuesBelow('losses'))].map(([key, { length }]) => [key, length] as const);
  return {
    edits: [...new Set(rowEdits.flatMap(({ editIds }) => editIds))],
    digest: digestOf(bytes),
    moments: await tensorsBelow(store, `models/${modelId}/statistics/`, 'moment.safetensors'),
    values: await valuesBelow('delta'),
    steps: new Map(losses),
    keys: new Map(hooks.map(({ layer, whitenedKeys }) => [`${layer}`, Float64Array.from(whitenedKeys)])),
  };
}

/** @param only this tensor of each file */
async function tensorsBelow(store: DirectoryObjectStore, prefix: string, end: string, only?: string) {
  const found = new Map<string, Float64Array>();
  for (const key of (await store.list(prefix)).filter((name) => name.endsWith(end))) {
    const { tensors } = decodeSafetensors((await store.get(key)).bytes, key);
    for (const [name, tensor] of tensors) {
      if (only !== undefined && name !== only) continue;
      const data = tensor.dtype === 'float64' ? (tensor.data as Float64Array) : Float64Array.from(toFloat32(tensor));
      found.set(only === undefined ? `${key} ${name}` : key, data);
    }
  }
  return found;
}

/** Every task ran once, and those that were killed once more: a failed shard alone is done again. */
function checkTasks(name: string, log: readonly string[], { shards, killedOnce }: Arrangement): string[] {
  const begins = log.filter((line) => line.startsWith('begin ')).map((line) => line.slice('begin '.length));
  const times = (task: string) => begins.filter((begun) => begun === task).length;
  const wanted = stages.flatMap((stage) => Array.from({ length: shards }, (_, shard) => `${stage} ${shard}`));
  return [...wanted, 'merge 0', 'solve 0'].flatMap((task) => {
    const expected = killedOnce.includes(task) ? 2 : 1;
    return times(task) === expected ? [] : [`${name}: task ${task} begun ${expected} times, got ${times(task)}`];
  });
}

const endsOf = (log: readonly string[]): string[] => log.filter((line) => line.startsWith('end '));

/** `max |a - b| / max |a|` over all arrays of the same name; infinite where one is missing. */
function largestDifference(a: ReadonlyMap<string, Float64Array>, b: ReadonlyMap<string, Float64Array>): number {
  if (a.size !== b.size || a.size === 0) return Number.POSITIVE_INFINITY;
  const differences = [...a].map(([name, numbers]) => {
    const others = b.get(name);
    if (others?.length !== numbers.length) return Number.POSITIVE_INFINITY;
    const largest = numbers.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    return numbers.reduce((most, value, i) => Math.max(most, Math.abs(value - others[i])), 0) / largest;
  });
  return Math.max(...differences);
}

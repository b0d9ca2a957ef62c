/** @file Executions of the workflow's functions over a memory store, with made-up results of the container tasks. */

import { join } from 'node:path';
import { comparesKeys, emptyState, encodeHookFile, resolveHyperparameters } from '../../src/editing/index.js';
import { keySketch, PlainGemmEngine } from '../../src/linalg/index.js';
import { identity } from '../../src/linalg/matrix.js';
import type { ModelConfig } from '../../src/model/index.js';
import { corpusKey, digestOf, incomingKey, type ObjectStore, registrationKey } from '../../src/registry/index.js';
import { MemoryObjectStore } from '../../src/registry/memory-object-store.js';
import { encodeCanonical } from '../../src/registry/stored-json.js';
import type { RoundPlan, SolveRecord, ValidationRecord } from '../../src/rounds/records.js';
import { keptEdits } from '../../src/rounds/round-edits.js';
import { companionsOf, memoriesIn, type Subject, subjectsOf } from '../../src/rounds/subjects.js';
import { loadVersionHooks } from '../../src/serving/index.js';
import { storeFactor } from '../../src/statistics/statistics-file.js';
import type { ExecutionInput, FunctionInput, FunctionOutput } from '../../src/workflow/contract.js';
import type { Executions, StageDependencies } from '../../src/workflow/executions.js';
import { registeredInputs } from '../../src/workflow/plan/planned-statistics.js';
import { attemptKey, readPlan, readRejectedEdits } from '../../src/workflow/plan/round-files.js';
import { type Registration, registrationSchema } from '../../src/workflow/registration.js';
import { collectStage } from '../../src/workflow/stages/collect.js';
import { ingestStage } from '../../src/workflow/stages/ingest.js';
import { judgeStage } from '../../src/workflow/stages/judge.js';
import { leaseStage } from '../../src/workflow/stages/lease.js';
import { notifyStage } from '../../src/workflow/stages/notify.js';
import { planStage } from '../../src/workflow/stages/plan.js';
import { publishStage } from '../../src/workflow/stages/publish.js';
import { type HookedModel, randomSegment } from './published-version.js';

const config = { layers: 4, dInner: 16, dModel: 8 } as ModelConfig;
const settings = resolveHyperparameters({ layers: [1, 3], contextTokens: 0 }, config);
export const hookedModel: HookedModel = { config, settings, modelDigest: 'a'.repeat(64) };

const corpus = new TextEncoder().encode('Some text.\n');

/** A line of a batch, and what a validation will measure of it. */
export const editLine = (id: string, more: Record<string, unknown> = {}): string =>
  JSON.stringify({ id, subject: `subject of ${id}`, prompt: '{} lives in', targetNew: `target of ${id}`, ...more });

/** What validations measure. By default every edit is perfect. */
export interface Measured {
  readonly reliability?: Readonly<Record<string, number>>;
  readonly locality?: Readonly<Record<string, number>>;
  readonly perplexityRatio?: number;
  readonly retention?: number | null;
  /** Reliability of earlier facts that the round says too. */
  readonly companions?: Readonly<Record<string, number>>;
}

/** Executions as they would be known to Step Functions. */
export class KnownExecutions implements Executions {
  readonly running = new Set<string>();
  readonly started: ExecutionInput[] = [];

  async isRunning(executionId: string): Promise<boolean> {
    return this.running.has(executionId);
  }

  async start(input: ExecutionInput): Promise<string> {
    return `next-${this.started.push(input)}`;
  }
}

export const modelId = 'm';

/** What registering makes of the made-up model. */
export function registrationOf(more: Partial<Registration> = {}): Registration {
  const sha256 = digestOf(corpus);
  return registrationSchema.parse({
    schemaVersion: 1,
    modelId,
    modelDigest: hookedModel.modelDigest,
    // Ingest tokenizes: the made-up model reads as the bundled one does.
    source: { kind: 'directory', path: join(import.meta.dirname, '../../examples/aldermark/model') },
    layerCount: 4,
    maxTokens: 512,
    dModel: 8,
    dInner: 16,
    settings,
    corpus: { key: corpusKey(modelId, sha256), sha256 },
    heldOut: null,
    statistics: {},
    criteria: {},
    ...more,
  });
}

/** A registered model, its statistics stored. */
export async function registeredStore(more: Partial<Registration> = {}): Promise<MemoryObjectStore> {
  const store = new MemoryObjectStore();
  const registration = registrationOf(more);
  await store.put(registrationKey(modelId), encodeCanonical(registration));
  if (registration.corpus) await store.put(registration.corpus.key, corpus);
  return store;
}

/** Stores key statistics as the container tasks would. */
export async function storeStatistics(
  store: ObjectStore,
  registration: Registration = registrationOf(),
): Promise<void> {
  for (const inputs of registeredInputs(registration, registration.settings)) {
    const inverseFactor = identity(16);
    const sketch = await keySketch(inverseFactor, new PlainGemmEngine(), inputs.sketchRank);
    const statistics = { layer: inputs.layer, inverseFactor, sketch };
    await storeFactor({ store, modelId }, inputs, statistics, 10);
  }
}

export const drop = (store: ObjectStore, name: string, lines: readonly string[]) =>
  store.put(incomingKey(modelId, name), new TextEncoder().encode(lines.map((line) => `${line}\n`).join('')));

/** A store with the same objects. */
export async function copyOf(store: ObjectStore): Promise<MemoryObjectStore> {
  const copy = new MemoryObjectStore();
  for (const key of await store.list('')) await copy.put(key, (await store.get(key)).bytes);
  return copy;
}

/** All objects as text, but the lease: every try of an execution may raise its fence. */
export async function contentOf(store: ObjectStore): Promise<Record<string, string>> {
  const keys = (await store.list('')).filter((key) => !key.endsWith('/lease.json'));
  const entries = keys.map(async (key) => [key, Buffer.from((await store.get(key)).bytes).toString('latin1')]);
  return Object.fromEntries(await Promise.all(entries));
}

export const now = () => new Date('2026-01-02T03:04:05.678Z');

export function dependenciesOn(store: ObjectStore, executions: Executions = new KnownExecutions()): StageDependencies {
  return { store, executions, now };
}

/** How an execution ended. */
export interface Ended {
  readonly outcome: FunctionInput<'notify'>['outcome'];
  readonly version: number;
  readonly plan?: FunctionOutput<'plan'>;
  readonly reason: string;
}

/** Runs the functions in the order of the state machine, and between them writes what container tasks would. */
export async function execute(
  executionId: string,
  input: ExecutionInput,
  { store, executions, now }: StageDependencies,
  measured: Measured = {},
): Promise<Ended> {
  const dependencies = { store, executions, now };
  const ingested = await ingestStage({ ...input, executionId }, dependencies);
  const call = { executionId, modelId: ingested.modelId };
  const rejectedFiles = ingested.reason;
  const end = async (ended: Ended, roundId = ''): Promise<Ended> => {
    const { outcome, version, reason: cause } = ended;
    const told = { outcome, version, roundId, stage: '', error: '', cause, rejectedFiles };
    await notifyStage({ ...call, ...told }, dependencies);
    if (outcome !== 'PENDING') await collectStage({ trigger: 'next', modelId: call.modelId }, dependencies);
    return ended;
  };
  if (ingested.outcome === 'rejected') return end({ outcome: 'REJECTED', version: 0, reason: ingested.reason });
  const lease = await leaseStage({ ...call, action: 'acquire', fence: 0 }, dependencies);
  if (!lease.acquired) return end({ outcome: 'PENDING', version: 0, reason: lease.owner });
  const plan = await planStage({ ...call, fence: lease.fence }, dependencies);
  const release = () => leaseStage({ ...call, action: 'release', fence: lease.fence }, dependencies);
  if (!plan.hasRound) {
    await release();
    return end({ outcome: 'NOTHING', version: 0, reason: '' });
  }
  const { decision: action, attempt, reason } = await editAndJudge(plan, dependencies, measured);
  const ending = { ...call, planKey: plan.planKey, attempt, reason };
  const published = await publishStage(
    { ...ending, action: action === 'publish' ? 'publish' : 'reject' },
    dependencies,
  );
  await release();
  const outcome = published.outcome === 'published' ? 'PUBLISHED' : 'REJECTED';
  return end({ outcome, version: published.version, plan, reason: published.reason }, plan.roundId);
}

/** Solves, validates and judges until the criteria want no further solve. */
export async function editAndJudge(
  { planKey, statisticsNeeded }: FunctionOutput<'plan'>,
  dependencies: StageDependencies,
  measured: Measured = {},
): Promise<FunctionOutput<'judge'>> {
  const { store } = dependencies;
  if (statisticsNeeded) await storeStatistics(store);
  for (let attempt = 0; ; ) {
    await solveAndValidate(store, planKey, attempt, measured);
    const judged = await judgeStage({ modelId, planKey, attempt }, dependencies);
    if (judged.decision !== 'repeat') return judged;
    attempt = judged.attempt;
  }
}

/** What the tasks `solve` and `validate` leave. */
const sketchOf = async (layer: number) => ({
  layer,
  sketch: await keySketch(identity(16), new PlainGemmEngine(), 2, layer),
});

export async function solveAndValidate(
  store: ObjectStore,
  planKey: string,
  attempt: number,
  measured: Measured = {},
): Promise<void> {
  const plan = await readPlan(store, planKey);
  const edits = keptEdits(plan.edits, await readRejectedEdits(store, planKey, attempt));
  const base = plan.base === null ? undefined : await loadVersionHooks(store, modelId, plan.base.version);
  const ids = edits.map(({ id }) => id);
  const subjects = subjectsOf(plan, edits);
  const state = base?.state ?? emptyState(config, settings);
  const removedIds = [...new Set(subjects.flatMap(({ replaces }) => replaces))];
  const memories = subjects.map(({ id }) => id);
  const segment = await randomSegment(hookedModel, state, memories, removedIds);
  const sketches = base ? [] : await Promise.all(settings.layers.map(sketchOf));
  const hooks = encodeHookFile({ segment, sketches });
  await putIfAbsent(store, attemptKey(planKey, attempt, 'hooks.safetensors'), hooks);
  const solved = solveRecord(ids, subjects, hooks);
  await putIfAbsent(store, attemptKey(planKey, attempt, 'solve.json'), encodeCanonical(solved));
  for (const [shard, indices] of plan.validationShards.entries()) {
    const shardIds = indices.map((index) => plan.edits[index].id).filter((id) => ids.includes(id));
    const record = validationRecord({ plan, solved, shard, ids: shardIds }, measured);
    await putIfAbsent(store, attemptKey(planKey, attempt, `validation-${shard}.json`), encodeCanonical(record));
  }
}

async function putIfAbsent(store: ObjectStore, key: string, bytes: Uint8Array): Promise<void> {
  if ((await store.head(key)) === undefined) await store.put(key, bytes, { ifNoneMatch: '*' });
}

function solveRecord(editIds: string[], subjects: readonly Subject[], hooks: Uint8Array): SolveRecord {
  return {
    schemaVersion: 1,
    editIds,
    memories: memoriesIn(subjects),
    segmentSha256: digestOf(hooks),
    segmentSizeBytes: hooks.length,
    writtenShare: settings.layers.map(() => editIds.map(() => 0.5)),
    valueSteps: editIds.map(() => 3),
    valueLosses: editIds.map(() => 0.01),
    secondsForValues: 1,
    secondsForSolve: 2,
    layers: settings.layers.map((layer) => ({
      layer,
      edits: editIds.length,
      relativeChange: 1,
      writtenShareMedian: 0.5,
    })),
    thresholds: Object.fromEntries(settings.layers.map((layer) => [layer, { smallestSimilarity: 0.6, sequence: 2.2 }])),
  };
}

/** One shard of a validation. */
interface ValidatedShard {
  readonly plan: RoundPlan;
  readonly solved: SolveRecord;
  readonly shard: number;
  readonly ids: readonly string[];
}

function validationRecord(
  { plan, solved, shard, ids }: ValidatedShard,
  { reliability = {}, locality = {}, perplexityRatio = 1, retention = null, companions = {} }: Measured,
): ValidationRecord {
  const drift = { perplexityRatio, basePerplexity: 20, klToBase: 0, swapRate: 0, tokens: 100 };
  return {
    schemaVersion: 1,
    measurements: ids.map((id) => ({
      id,
      reliability: reliability[id] ?? 1,
      generality: [1],
      portability: [],
      locality: [locality[id] ?? 1],
      sameSubjectLocality: [1],
      paraphraseSuccess: [],
      neighborhoodSuccess: [],
      nll: 0.1,
    })),
    firedBy: [...ids],
    before: ids.map((id) => ({ id, text: 'before', said: false })),
    answers: ids.map((id) => ({ id, text: 'after', said: true })),
    drift: shard === 0 ? drift : null,
    retention: shard === 0 ? retention : null,
    companions:
      shard === 0
        ? companionsOf(plan, solved).map(({ version, edit: { id } }) => ({
            version,
            id,
            reliability: companions[id] ?? 1,
          }))
        : [],
    separation: comparesKeys(plan.settings.gate)
      ? { edit: [1], paraphrase: [], neighborhood: [], text: [], threshold: 0.6 }
      : null,
    gates: [],
  };
}

/** @file Task `values`: seeks the values of one shard of edits, each of them once and for all. */
import { type Edit, tokenizeEdit } from '../../editing/index.js';
import type { Workbench } from '../../rounds/index.js';
import { plannedContexts, readValue, storeValue, valueKeysOf } from '../../rounds/index.js';
import type { VersionHooks } from '../../serving/index.js';
import type { TaskInput } from '../contract.js';
import type { PlannedRound } from '../plan/round-files.js';
import { noSketches, openTaskBench } from './task-bench.js';
import type { TaskDependencies } from './task-dependencies.js';
import { itemsOfShard, readBase, readPlannedRound } from './task-inputs.js';

/** An edit whose value is wanted, with the content key of the value. */
interface SoughtValue {
  readonly edit: Edit;
  readonly contentKey: string;
}

/**
 * Stores the values of a shard's edits. Each micro-batch is stored as soon as it is done; those stored before, by this
 * round or another, are not sought again.
 *
 * @throws {DigestMismatchError | MalformedFileError} if base or a stored value is damaged, before any search
 */
export async function values(input: TaskInput, dependencies: TaskDependencies): Promise<void> {
  const { store } = dependencies;
  const round = await readPlannedRound(input, dependencies);
  const { plan } = round;
  const edits = itemsOfShard(plan.valueShards, input.shard).map((index) => plan.edits[index]);
  const base = await readBase(dependencies, plan);
  const known = await plannedContexts(store, plan);
  if (known && (await missingValues(round, base, known, edits, dependencies)).length === 0) return;
  const sketches = base?.sketches ?? noSketches(plan.settings.layers, round.registration.dInner);
  const bench = await openTaskBench(dependencies, round, { sketches });
  try {
    const contexts = await bench.contexts();
    const missing = await missingValues(round, base, contexts, edits, dependencies);
    if (missing.length > 0) await search(bench, base, missing, contexts, dependencies);
  } finally {
    await bench.dispose();
  }
}

async function missingValues(
  { plan, registration }: PlannedRound,
  base: VersionHooks | undefined,
  contexts: readonly string[],
  edits: readonly Edit[],
  { store }: TaskDependencies,
): Promise<SoughtValue[]> {
  const keys = valueKeysOf(plan, base?.manifest, contexts, edits);
  const missing: SoughtValue[] = [];
  for (const [e, edit] of edits.entries()) {
    const stored = await readValue({ store, modelId: plan.modelId }, keys[e], registration.dModel);
    if (stored === undefined) missing.push({ edit, contentKey: keys[e] });
  }
  return missing;
}

async function search(
  bench: Workbench,
  base: VersionHooks | undefined,
  sought: readonly SoughtValue[],
  contexts: readonly string[],
  { listener, signal }: TaskDependencies,
): Promise<void> {
  const tokenized = sought.map(({ edit }) => tokenizeEdit(bench.tokenizer, edit, contexts));
  const hooks = bench.hooks(base?.state ?? bench.emptyState);
  const total = sought.length;
  const report = (done: number, detail: string) =>
    listener.onProgress?.({ stage: 'values', done, total, unit: 'edits', detail });
  const programs = await bench.values();
  signal?.throwIfAborted();
  let startedAt = performance.now();
  const batches = programs.searchBatches(tokenized, hooks, {
    memoryBudgetBytes: bench.memoryBudgetBytes,
    onStep: ({ finishedEdits, activeEdits }) => report(finishedEdits, `${activeEdits} in work`),
  });
  let stored = 0;
  for await (const batch of batches) {
    const seconds = (performance.now() - startedAt) / 1000 / batch.length;
    for (const { index, target } of batch) await storeValue(bench, sought[index].contentKey, { ...target, seconds });
    stored += batch.length;
    report(stored, 'stored');
    if (stored < total) signal?.throwIfAborted();
    startedAt = performance.now();
  }
}

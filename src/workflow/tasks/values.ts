/** @file Task `values`: searches the values of one shard of edits, each of them once and for all. */
import { missingValues, plannedContexts, storeMissingValues, valueKeysOf } from '../../rounds/index.js';
import type { TaskInput } from '../contract.js';
import { noSketches, openTaskBench } from './task-bench.js';
import type { TaskDependencies } from './task-dependencies.js';
import { itemsOfShard, readBase, readPlannedRound } from './task-inputs.js';

/**
 * Stores the values of a shard's edits. Each micro-batch is stored as soon as it is done; those stored before, by this
 * round or another, are not searched again.
 *
 * @throws {DigestMismatchError | MalformedFileError} if base or a stored value is damaged, before any search
 */
export async function values(input: TaskInput, dependencies: TaskDependencies): Promise<void> {
  const { store, listener, signal } = dependencies;
  const round = await readPlannedRound(input, dependencies);
  const { plan, registration } = round;
  const edits = itemsOfShard(plan.valueShards, input.shard).map((index) => plan.edits[index]);
  const base = await readBase(dependencies, plan);
  const place = { store, modelId: plan.modelId, dModel: registration.dModel };
  const missing = (contexts: readonly string[]) =>
    missingValues(place, edits, valueKeysOf(plan, base?.manifest, contexts, edits));
  // Without a look at the model, which takes its time to open.
  const known = await plannedContexts(store, plan);
  if (known && (await missing(known)).length === 0) return;
  const sketches = base?.sketches ?? noSketches(plan.settings.layers, registration.dInner);
  const bench = await openTaskBench(dependencies, round, { sketches });
  try {
    const contexts = await bench.contexts();
    const sought = await missing(contexts);
    const before = base?.state ?? bench.emptyState;
    if (sought.length > 0) await storeMissingValues(bench, before, sought, contexts, { ...listener, signal });
  } finally {
    await bench.dispose();
  }
}

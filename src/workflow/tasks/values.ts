/** @file Task `values`: searches and stores the values of one shard of edits. */
import type { LayerSketch } from '../../editing/index.js';
import { matrix } from '../../linalg/index.js';
import { keptEdits, missingValues, plannedContexts, searchMissingValues, subjectsOf } from '../../rounds/index.js';
import type { TaskInput } from '../contract.js';
import { openTaskBench } from './task-bench.js';
import type { TaskDependencies } from './task-dependencies.js';
import { itemsOfShard, readPlannedRound } from './task-inputs.js';

/**
 * Stores the values of a shard's edits. Each micro-batch is stored as soon as it is done. Values that are stored already, by
 * this round or another one, are not searched again.
 *
 * @throws {DigestMismatchError | MalformedFileError} if a stored value is damaged, before any search
 */
export async function values(input: TaskInput, dependencies: TaskDependencies): Promise<void> {
  const { store, listener, signal } = dependencies;
  const round = await readPlannedRound(input, dependencies);
  const { plan, registration } = round;
  const own = itemsOfShard(plan.valueShards, input.shard).map((index) => plan.edits[index]);
  const edits = keptEdits(own, plan.refused ?? []);
  // Opening the model takes long: if every value is stored, it is not needed.
  const known = await plannedContexts(store, plan);
  const place = { store, modelId: plan.modelId, dModel: registration.dModel };
  if (known && (await missingValues(place, plan, subjectsOf(plan, edits), known)).length === 0) return;
  // No hook is active in a search.
  const bench = await openTaskBench(dependencies, round, {
    sketches: noSketches(plan.settings.layers, registration.dInner),
  });
  try {
    await searchMissingValues(bench, { plan, edits }, { ...listener, signal });
  } finally {
    await bench.dispose();
  }
}

/** Sketches for a state without edits, in which no gate can fire: of rank 1, all zeros. */
const noSketches = (layers: readonly number[], dInner: number): LayerSketch[] =>
  layers.map((layer) => ({ layer, sketch: matrix(1, dInner) }));

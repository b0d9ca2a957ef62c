/** @file Task `merge`: adds up the shards of the corpus, and writes the context templates. */
import type { KeyMomentSums } from '../../editing/index.js';
import { TransientError } from '../../errors.js';
import { Solver } from '../../linalg/index.js';
import type { Listener } from '../../progress.js';
import { plannedContexts } from '../../rounds/index.js';
import { OnnxGemmEngine } from '../../runtime/index.js';
import {
  addShards,
  factorise,
  hasFactor,
  type KeyMoment,
  type LayerInputs,
  type MomentShards,
  readMoment,
  shardKey,
  storeMean,
} from '../../statistics/index.js';
import type { TaskInput } from '../contract.js';
import { plannedInputs } from '../plan/planned-statistics.js';
import type { PlannedRound } from '../plan/round-files.js';
import { openTaskBench } from './task-bench.js';
import { stopping, type TaskDependencies, taskDevice } from './task-dependencies.js';
import { readPlannedRound } from './task-inputs.js';

/**
 * Stores the key statistics (the covariance of keys) that the plan names, from the sums of all shards, and the context
 * templates.
 *
 * @throws {TransientError} if a shard's sums are not stored
 * @throws {DigestMismatchError | MalformedFileError} if they are damaged
 */
export async function merge(input: TaskInput, dependencies: TaskDependencies): Promise<void> {
  const { store } = dependencies;
  const round = await readPlannedRound(input, dependencies);
  await mergeStatistics(round, dependencies);
  if ((await plannedContexts(store, round.plan)) !== undefined) return;
  dependencies.signal?.throwIfAborted();
  const bench = await openTaskBench(dependencies, round);
  try {
    await bench.contexts();
  } finally {
    await bench.dispose();
  }
}

async function mergeStatistics(round: PlannedRound, dependencies: TaskDependencies): Promise<void> {
  const { plan, registration } = round;
  const { store } = dependencies;
  const { modelId } = plan;
  const isStored = await Promise.all(plan.statistics.map(({ digest }) => hasFactor({ store, modelId }, digest)));
  if (isStored.every(Boolean)) return;
  const inputs = plannedInputs(round);
  const missing = inputs.filter((_, i) => !isStored[i]);
  const place = { modelId, inputs, shards: plan.statisticsShards };
  const momentOf = momentReader(place, registration.dInner, dependencies);
  const engine = new OnnxGemmEngine({ device: await taskDevice(dependencies) });
  const { listener } = dependencies;
  const stoppable = stopping(dependencies);
  const solver = new Solver({ ...(dependencies.solver ?? { choice: 'auto' }), engine, onNotice: listener.onNotice });
  const report = ({ onProgress }: Listener, done: number) =>
    onProgress?.({ stage: 'factor', done, total: missing.length, unit: 'layers' });
  try {
    for (const [i, layer] of missing.entries()) {
      report(stoppable, i);
      await factorise({ store, modelId, engine, solver }, layer, await momentOf(layer));
    }
    // Does not stop the task: all factors are stored, and only the sums are left to be deleted.
    report(listener, missing.length);
  } finally {
    await engine.dispose();
  }
  for (let shard = 0; shard < place.shards; shard++) await store.delete(shardKey(place, shard, 'sums.safetensors'));
}

/** Gives each layer's key moment: the stored one, or else that of the shards' sums, which is stored then. One may take gigabytes. */
function momentReader(place: MomentShards, dInner: number, { store }: TaskDependencies) {
  const { modelId } = place;
  let sums: KeyMomentSums | undefined;
  return async (layer: LayerInputs): Promise<KeyMoment> => {
    const stored = await readMoment({ store, modelId }, layer, dInner);
    if (stored !== undefined) return stored;
    sums ??= await allShards(place, dInner, store);
    return storeMean({ store, modelId }, layer, sums);
  };
}

async function allShards(place: MomentShards, dInner: number, store: TaskDependencies['store']) {
  const sums = await addShards(store, place, dInner);
  if (sums !== undefined) return sums;
  throw new TransientError(`key moments of model ${place.modelId}: sums of all ${place.shards} shards, got fewer`);
}

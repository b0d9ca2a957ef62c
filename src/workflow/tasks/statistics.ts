/** @file Task `statistics`: sums the key moments (covariance) of one shard of the corpus. */
import { putOnce } from '../../registry/index.js';
import { rowsPerBatch } from '../../runtime/index.js';
import {
  corpusSequences,
  encodeSums,
  hasFactor,
  type LayerInputs,
  sequencesOfShard,
  shardKey,
  sumKeyMoments,
} from '../../statistics/index.js';
import type { TaskInput } from '../contract.js';
import { openRegisteredModel } from '../model-files.js';
import { plannedInputs } from '../plan/planned-statistics.js';
import type { PlannedRound } from '../plan/round-files.js';
import { materialiseText } from '../stored-text.js';
import { type TaskDependencies, taskDevice } from './task-dependencies.js';
import { readPlannedRound, requireShard } from './task-inputs.js';

/** Time between two checkpoints. */
const checkpointSeconds = 20;

/**
 * Stores the sums of one shard. A task that was stopped goes on from its checkpoint.
 *
 * @throws {InvalidInputError} if the plan names other statistics than those of the registration's corpus
 * @throws {DigestMismatchError} if corpus or model is not what the registration names
 */
export async function statistics(input: TaskInput, dependencies: TaskDependencies): Promise<void> {
  const { store } = dependencies;
  const round = await readPlannedRound(input, dependencies);
  const { modelId, statistics: planned, statisticsShards: shards } = round.plan;
  requireShard(input.shard, shards);
  const isComplete = await Promise.all(planned.map(({ digest }) => hasFactor({ store, modelId }, digest)));
  if (isComplete.every(Boolean)) return;
  const inputs = plannedInputs(round);
  const place = { modelId, inputs, shards };
  const sumsKey = shardKey(place, input.shard, 'sums.safetensors');
  const checkpointKey = shardKey(place, input.shard, 'partial.safetensors');
  if ((await store.head(sumsKey)) === undefined) {
    const { model, sequences, device } = await openShard(input, round, inputs, dependencies);
    const layers = inputs.map(({ layer }) => layer);
    const { signal, listener } = dependencies;
    const pace = { rowsPerBatch, checkpointSeconds, signal, onProgress: listener.onProgress };
    const sums = await sumKeyMoments({ model, layers, sequences, device, store, checkpointKey, ...pace });
    await putOnce(store, sumsKey, encodeSums({ sums, sequencesDone: sequences.length }));
  }
  await store.delete(checkpointKey);
}

async function openShard(
  { shard }: TaskInput,
  { plan, registration }: PlannedRound,
  [inputs]: readonly LayerInputs[],
  dependencies: TaskDependencies,
) {
  const path = await materialiseText(dependencies, registration.corpus!);
  const { model, tokenizer } = await openRegisteredModel(dependencies, registration);
  const whole = await corpusSequences(path, tokenizer, inputs);
  const sequences = sequencesOfShard(whole, rowsPerBatch, { shard, shards: plan.statisticsShards });
  return { model, sequences, device: await taskDevice(dependencies) };
}

/** @file Function `collect`: starts executions for models that have work left. */
import { currentRoundKey, leaseHolder, type ObjectStore } from '../../registry/index.js';
import type { FunctionInput, FunctionOutput } from '../contract.js';
import type { StageDependencies } from '../executions.js';
import { isAnyIn } from '../queue/inbox.js';
import { pendingNames } from '../queue/pending-units.js';
import { isStalled } from '../queue/stalls.js';
import { registeredModels } from '../registration.js';

/**
 * Starts one execution for each model that has a round in work or pending units, or objects in its inbox. The inbox does not
 * count where an execution asks as its last step. Models whose lease a running execution holds are left out: that execution
 * asks again when it ends.
 */
export async function collectStage(
  { trigger, modelId }: FunctionInput<'collect'>,
  { store, executions }: StageDependencies,
): Promise<FunctionOutput<'collect'>> {
  const candidates = modelId === '' ? await registeredModels(store) : [modelId];
  const models: string[] = [];
  for (const candidate of candidates) {
    if (!(await hasWork(store, candidate, trigger))) continue;
    const holder = await leaseHolder(store, candidate);
    if (holder !== undefined && (await executions.isRunning(holder))) continue;
    await executions.start({ trigger, objectKey: '', modelId: candidate });
    models.push(candidate);
  }
  return { models, started: models.length };
}

async function hasWork(
  store: ObjectStore,
  modelId: string,
  trigger: FunctionInput<'collect'>['trigger'],
): Promise<boolean> {
  // Executions that fail before they have a round would start each other without end.
  if (trigger === 'next' && (await isStalled(store, modelId))) return false;
  if ((await store.head(currentRoundKey(modelId))) !== undefined) return true;
  if ((await pendingNames(store, modelId)).length > 0) return true;
  return trigger !== 'next' && (await isAnyIn(store, modelId, 'waiting'));
}

/** @file Function `collect`: starts executions for what is left. */
import { currentRoundKey, leaseHolder, type ObjectStore } from '../../registry/index.js';
import type { FunctionInput, FunctionOutput } from '../contract.js';
import type { StageDependencies } from '../executions.js';
import { waitingKeys } from '../queue/inbox.js';
import { pendingNames } from '../queue/pending-units.js';
import { isStalled } from '../queue/stalls.js';
import { registeredModels } from '../registration.js';

/**
 * Starts one execution for each model that has a round in work, pending units or, unless an execution asks on its way out,
 * something in its inbox. Models that a running execution holds are left to it: it asks again when it is done.
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
  // An execution that fails before it has a round would start the next one, and so on without end.
  if (trigger === 'next' && (await isStalled(store, modelId))) return false;
  if ((await store.head(currentRoundKey(modelId))) !== undefined) return true;
  if ((await pendingNames(store, modelId)).length > 0) return true;
  return trigger !== 'next' && (await waitingKeys(store, modelId)).length > 0;
}

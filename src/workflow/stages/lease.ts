/** @file Function `lease`: lets one execution at a time work on a model. */
import { acquireLease, releaseLease } from '../../registry/index.js';
import type { FunctionInput, FunctionOutput } from '../contract.js';
import type { StageDependencies } from '../executions.js';

/** Acquires or releases a model's lease for an execution. */
export async function leaseStage(
  input: FunctionInput<'lease'>,
  { store, executions, now }: StageDependencies,
): Promise<FunctionOutput<'lease'>> {
  const { action, executionId: owner, modelId, fence } = input;
  if (action === 'acquire') {
    const isRunning = (executionId: string) => executions.isRunning(executionId);
    const state = await acquireLease(store, modelId, { owner, now, isRunning });
    return { acquired: state.acquired, fence: state.fence, owner: state.owner };
  }
  await releaseLease(store, modelId, { owner });
  return { acquired: false, fence, owner: '' };
}

import { InvalidInputError } from '../errors.js';
import type { ObjectStore } from '../registry/index.js';
import { readPlan } from './round-files.js';
import { planKeyOf, type RoundPlan } from './round-plan.js';

/**
 * The plan of a model's round.
 *
 * @throws {InvalidInputError} if it is another model's, or the key is not the plan's own
 */
export async function readOwnPlan(store: ObjectStore, modelId: string, planKey: string): Promise<RoundPlan> {
  const plan = await readPlan(store, planKey);
  const planId = planKey.split('/').at(-2) ?? '';
  if (plan.modelId === modelId && planKey === planKeyOf(modelId, plan.roundId, planId)) return plan;
  throw new InvalidInputError(`plan ${planKey}`, `a plan of model ${modelId}`, `one of ${plan.modelId}`);
}

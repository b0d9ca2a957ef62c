/** @file Reads plans by keys from outside, and checks that a key is the plan's own. */
import { InvalidInputError } from '../../errors.js';
import { modelPrefix, type ObjectStore } from '../../registry/index.js';
import type { RoundPlan } from '../../rounds/index.js';
import { planKeyOf, readPlan } from './round-files.js';

/**
 * Reads the plan of a model's round. Objects elsewhere are not read.
 *
 * @throws {InvalidInputError} if it is another model's, or the key is not the plan's own
 */
export async function readOwnPlan(store: ObjectStore, modelId: string, planKey: string): Promise<RoundPlan> {
  if (!planKey.startsWith(`${modelPrefix(modelId)}rounds/`)) {
    throw new InvalidInputError(`plan ${planKey}`, `a plan of model ${modelId}`, 'an object elsewhere');
  }
  return readPlanByKey(store, planKey);
}

/**
 * Reads the plan of a round of any model.
 *
 * @throws {InvalidInputError} if the key is not the plan's own, so that objects beside it may be another model's
 */
export async function readPlanByKey(store: ObjectStore, planKey: string): Promise<RoundPlan> {
  const plan = await readPlan(store, planKey);
  const own = planKeyOf(plan.modelId, plan.roundId, planKey.split('/').at(-2) ?? '');
  if (planKey !== own) throw new InvalidInputError(`plan ${planKey}`, 'a plan under its own key', `the plan ${own}`);
  return plan;
}

const planKeyPattern = /^models\/[^/]+\/rounds\/[0-9a-f]{16}\/[0-9a-f]{16}\/plan\.json$/;

/** Checks the form of a plan's key before anything is read by it. @throws {InvalidInputError} */
export function checkPlanKey(planKey: string): string {
  if (planKeyPattern.test(planKey)) return planKey;
  throw new InvalidInputError('--plan', 'the key of a plan of a round', JSON.stringify(planKey));
}

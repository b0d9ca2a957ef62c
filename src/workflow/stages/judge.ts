/** @file Function `gate`: publish, drop offenders and solve again, or reject. */

import { findStored, storeOnce } from '../../registry/index.js';
import { type Exclusions, exclusionsSchema, gateDecisionSchema, judgeRound } from '../../rounds/index.js';
import type { FunctionInput, FunctionOutput } from '../contract.js';
import type { StageDependencies } from '../executions.js';
import { readOwnPlan } from '../plan/own-plan.js';
import { attemptKey, readExclusions } from '../plan/round-files.js';
import { readAttempt } from '../plan/round-records.js';
import { readModelCard } from '../registration.js';

const decisionForm = { what: 'the decision of a gate', schema: gateDecisionSchema };
const exclusionsForm = { what: 'excluded edits', schema: exclusionsSchema };

/**
 * Judges an attempt, once. Where edits are dropped, those of the next attempt are written down before the answer.
 *
 * @throws {NoSuchKeyError | MalformedFileError} if a record of the attempt is missing or damaged
 */
export async function gateStage(
  { modelId, planKey, attempt }: FunctionInput<'gate'>,
  { store }: StageDependencies,
): Promise<FunctionOutput<'gate'>> {
  const plan = await readOwnPlan(store, modelId, planKey);
  const key = attemptKey(planKey, attempt, 'decision.json');
  const excluded = await readExclusions(store, planKey, attempt);
  let judged = await findStored(store, key, decisionForm);
  if (judged === undefined) {
    const { thresholds } = await readModelCard(store, modelId);
    const { measures } = await readAttempt(store, planKey, attempt, plan);
    const decision = judgeRound({ measures, thresholds, attempt, planned: plan.edits.length });
    judged = await storeOnce(store, key, decisionForm, decision);
  }
  const { decision, reason, offenders } = judged;
  if (decision !== 'drop') return { decision, attempt, dropped: excluded.length, reason };
  const next: Exclusions = [...excluded, ...offenders];
  await storeOnce(store, attemptKey(planKey, attempt + 1, 'excluded.json'), exclusionsForm, next);
  return { decision, attempt: attempt + 1, dropped: next.length, reason };
}

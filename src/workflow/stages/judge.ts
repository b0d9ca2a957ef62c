/** @file Function `judge`: publish, solve again without the edits that failed, or reject. */

import { findStored, storeOnce } from '../../registry/index.js';
import { judgementSchema, judgeRound, type RejectedEdits, rejectedEditsSchema } from '../../rounds/index.js';
import type { FunctionInput, FunctionOutput } from '../contract.js';
import type { StageDependencies } from '../executions.js';
import { readOwnPlan } from '../plan/own-plan.js';
import { attemptKey, readRejectedEdits } from '../plan/round-files.js';
import { readAttempt } from '../plan/round-records.js';
import { readRegistration } from '../registration.js';

const decisionForm = { what: 'a judgement', schema: judgementSchema };
const exclusionsForm = { what: 'excluded edits', schema: rejectedEditsSchema };

/**
 * Judges an attempt, once. Where edits are rejected, those of the next attempt are written down before the answer.
 *
 * @throws {NoSuchKeyError | MalformedFileError} if a record of the attempt is missing or damaged
 */
export async function judgeStage(
  { modelId, planKey, attempt }: FunctionInput<'judge'>,
  { store }: StageDependencies,
): Promise<FunctionOutput<'judge'>> {
  const plan = await readOwnPlan(store, modelId, planKey);
  const key = attemptKey(planKey, attempt, 'decision.json');
  const excluded = await readRejectedEdits(store, planKey, attempt);
  let judged = await findStored(store, key, decisionForm);
  if (judged === undefined) {
    const { criteria } = await readRegistration(store, modelId);
    const { measures } = await readAttempt(store, planKey, attempt, plan);
    const decision = judgeRound({ measures, criteria, attempt, planned: plan.edits.length });
    judged = await storeOnce(store, key, decisionForm, decision);
  }
  const { decision, reason, offenders } = judged;
  if (decision !== 'repeat') return { decision, attempt, rejected: excluded.length, reason };
  const next: RejectedEdits = [...excluded, ...offenders];
  await storeOnce(store, attemptKey(planKey, attempt + 1, 'excluded.json'), exclusionsForm, next);
  return { decision, attempt: attempt + 1, rejected: next.length, reason };
}

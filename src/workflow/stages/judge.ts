/** @file Function `judge`: decides whether to publish, to solve again without the edits that failed, or to reject. */
import { findStored, storeOnce } from '../../registry/index.js';
import { judgeRound, type RejectedEdits } from '../../rounds/index.js';
import type { FunctionInput, FunctionOutput } from '../contract.js';
import type { StageDependencies } from '../executions.js';
import { readOwnPlan } from '../plan/own-plan.js';
import {
  attemptKey,
  countWritable,
  decisionForm,
  decisionKey,
  readAttempt,
  readUnwrittenEdits,
  rejectedEditsForm,
} from '../plan/round-files.js';
import { readRegistration } from '../registration.js';

/**
 * Judges an attempt once: a repeated call gives the same answer. Where edits are rejected and the rest is solved again, the
 * rejected edits are stored for the next attempt.
 *
 * @throws {NoSuchKeyError | MalformedFileError} if a record of the attempt is missing or damaged
 */
export async function judgeStage(
  { modelId, planKey, attempt }: FunctionInput<'judge'>,
  { store }: StageDependencies,
): Promise<FunctionOutput<'judge'>> {
  const plan = await readOwnPlan(store, modelId, planKey);
  const key = decisionKey(planKey, attempt);
  const rejected = await readUnwrittenEdits(store, planKey, attempt);
  let judged = await findStored(store, key, decisionForm);
  if (judged === undefined) {
    const { criteria } = await readRegistration(store, modelId);
    const { measures, solved } = await readAttempt(store, planKey, attempt, plan);
    const writable = await countWritable(store, planKey, attempt);
    const decision = judgeRound({ plan, measures, memories: solved.memories, criteria, attempt, writable, rejected });
    judged = await storeOnce(store, key, decisionForm, decision);
  }
  const { decision, reason } = judged;
  if (decision !== 'repeat') return { decision, attempt, rejected: rejected.length, reason };
  const next: RejectedEdits = [...rejected, ...judged.offenders];
  await storeOnce(store, attemptKey(planKey, attempt + 1, 'excluded.json'), rejectedEditsForm, next);
  return { decision, attempt: attempt + 1, rejected: next.length, reason };
}

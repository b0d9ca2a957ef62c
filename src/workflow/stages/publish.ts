/** @file Function `publish`: ends a round by publishing or rejecting an attempt. */
import { versionFileKey } from '../../registry/index.js';
import {
  type Attempt,
  publishAttempt,
  type RoundOutcomeRecord,
  rejectAttempt,
  rejectedReportKey,
} from '../../rounds/index.js';
import type { FunctionInput, FunctionOutput } from '../contract.js';
import type { StageDependencies } from '../executions.js';
import { readOwnPlan } from '../plan/own-plan.js';
import { attemptKey, readAttempt, readJudgement, readUnwrittenEdits } from '../plan/round-files.js';
import { findOutcome, finishRound, publisherOf } from '../queue/current-round.js';
import { readRegistration } from '../registration.js';

type Input = FunctionInput<'publish'>;

/**
 * Publishes an attempt, or stores the report of the rejected round. Then the round's edits leave the queue.
 *
 * @throws {StaleBaseError} if `latest` is not the plan's base any more: plan again
 * @throws {DigestMismatchError | MalformedFileError} if the attempt's segment is damaged
 */
export async function publishStage(
  input: Input,
  { store, now }: StageDependencies,
): Promise<FunctionOutput<'publish'>> {
  const { executionId, modelId, planKey, attempt, reason } = input;
  const plan = await readOwnPlan(store, modelId, planKey);
  const rejectedEdits = await readUnwrittenEdits(store, planKey, attempt);
  let outcome = await findOutcome(store, modelId, plan.roundId);
  if (outcome === undefined) {
    const { dModel, dInner } = await readRegistration(store, modelId);
    const records = await readAttempt(store, planKey, attempt, plan);
    const judgement = await readJudgement(store, planKey, attempt);
    const attempted = { ...records, plan, rejectedEdits, judgement, dModel, dInner };
    const version = await endAttempt(input, attempted, { store, now });
    const ended = { version, executionId, at: now().toISOString(), reason, rejected: rejectedEdits.length };
    outcome =
      version === 0
        ? { ...ended, outcome: 'rejected', edits: 0 }
        : { ...ended, outcome: 'published', edits: plan.edits.length - rejectedEdits.length };
  }
  return answer(modelId, plan.roundId, await finishRound(store, modelId, plan.roundId, outcome));
}

function answer(modelId: string, roundId: string, ended: RoundOutcomeRecord): FunctionOutput<'publish'> {
  const { outcome, version, edits, rejected, reason } = ended;
  const reportKey =
    outcome === 'published' ? versionFileKey(modelId, version, 'report.html') : rejectedReportKey(modelId, roundId);
  return { outcome, version, edits, rejected, reason, reportKey };
}

/** @returns the version that the attempt is published as; 0 if it is rejected */
async function endAttempt(
  { action, planKey, attempt, reason }: Input,
  attempted: Attempt,
  { store, now }: Pick<StageDependencies, 'store' | 'now'>,
): Promise<number> {
  if (action === 'reject') {
    await rejectAttempt(store, attempted, reason, now);
    return 0;
  }
  const what = attemptKey(planKey, attempt, 'hooks.safetensors');
  const { bytes: hooks } = await store.get(what);
  const publishedBy = publisherOf(attempted.plan.roundId);
  return (await publishAttempt(store, attempted, { what, hooks, publishedBy, now })).version;
}

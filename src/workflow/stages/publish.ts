/** @file Function `publish`: ends a round, with a version or without. */
import { type ObjectStore, versionFileKey } from '../../registry/index.js';
import {
  type Attempt,
  publishAttempt,
  type RejectedEdits,
  type RoundOutcomeRecord,
  type RoundPlan,
  rejectAttempt,
  rejectedReportKey,
} from '../../rounds/index.js';
import type { FunctionInput, FunctionOutput } from '../contract.js';
import type { StageDependencies } from '../executions.js';
import { readOwnPlan } from '../plan/own-plan.js';
import { attemptKey, readRejectedEdits } from '../plan/round-files.js';
import { readAttempt } from '../plan/round-records.js';
import { findOutcome, finishRound, publisherOf } from '../queue/current-round.js';
import { readRegistration } from '../registration.js';

type Input = FunctionInput<'publish'>;

/**
 * Publishes an attempt, or writes down that the round is rejected; then takes the round's edits out of the queue.
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
  const rejectedEdits = await readRejectedEdits(store, planKey, attempt);
  let outcome = await findOutcome(store, modelId, plan.roundId);
  if (outcome === undefined) {
    const version = await endAttempt(input, plan, rejectedEdits, store, now);
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

/** @returns the version that the attempt became; 0 where it is rejected */
async function endAttempt(
  { action, modelId, planKey, attempt, reason }: Input,
  plan: RoundPlan,
  rejectedEdits: RejectedEdits,
  store: ObjectStore,
  now: () => Date,
): Promise<number> {
  const { dModel, dInner } = await readRegistration(store, modelId);
  const records = await readAttempt(store, planKey, attempt, plan);
  const attempted: Attempt = { ...records, plan, rejectedEdits, dModel, dInner };
  if (action === 'reject') {
    await rejectAttempt(store, attempted, reason, now);
    return 0;
  }
  const what = attemptKey(planKey, attempt, 'hooks.safetensors');
  const { bytes: hooks } = await store.get(what);
  const publishedBy = publisherOf(plan.roundId);
  return (await publishAttempt(store, attempted, { what, hooks, publishedBy, now })).version;
}

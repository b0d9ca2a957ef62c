/** @file Function `publish`: ends a round, with a version or without. */
import { decodeHookFile } from '../../editing/index.js';
import { DigestMismatchError, MalformedFileError } from '../../errors.js';
import {
  digestOf,
  type LatestVersion,
  nextVersion,
  type ObjectStore,
  putOnce,
  readManifest,
  versionFileKey,
} from '../../registry/index.js';
import type { RejectedEdits, RoundOutcomeRecord, RoundPlan } from '../../rounds/index.js';
import { ancestorsOf, keptEdits, publishVersion, roundReport, versionMetrics } from '../../rounds/index.js';
import type { FunctionInput, FunctionOutput } from '../contract.js';
import type { StageDependencies } from '../executions.js';
import { readOwnPlan } from '../plan/own-plan.js';
import { attemptKey, readRejectedEdits } from '../plan/round-files.js';
import { readAttempt } from '../plan/round-records.js';
import { findOutcome, finishRound, publisherOf, rejectedReportKey } from '../queue/current-round.js';
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
  const { action, executionId, modelId, planKey, attempt, reason } = input;
  const plan = await readOwnPlan(store, modelId, planKey);
  const excluded = await readRejectedEdits(store, planKey, attempt);
  let outcome = await findOutcome(store, modelId, plan.roundId);
  if (outcome === undefined) {
    const attempted = await reportedAttempt(input, plan, excluded, store, now);
    const ended = { executionId, at: now().toISOString(), reason, rejected: excluded.length };
    if (action === 'publish') {
      const { version } = await publishAttempt(input, plan, attempted, store, now);
      outcome = { ...ended, outcome: 'published', version, edits: plan.edits.length - excluded.length };
    } else {
      await putOnce(store, rejectedReportKey(modelId, plan.roundId), new TextEncoder().encode(attempted.report));
      outcome = { ...ended, outcome: 'rejected', version: 0, edits: 0 };
    }
  }
  return answer(modelId, plan.roundId, await finishRound(store, modelId, plan.roundId, outcome));
}

function answer(modelId: string, roundId: string, ended: RoundOutcomeRecord): FunctionOutput<'publish'> {
  const { outcome, version, edits, rejected, reason } = ended;
  const reportKey =
    outcome === 'published' ? versionFileKey(modelId, version, 'report.html') : rejectedReportKey(modelId, roundId);
  return { outcome, version, edits, rejected, reason, reportKey };
}

/** What was measured of an attempt, and its report. */
async function reportedAttempt(
  { action, modelId, planKey, attempt, reason }: Input,
  plan: RoundPlan,
  excluded: RejectedEdits,
  store: ObjectStore,
  now: () => Date,
) {
  const { modelDigest, settings, base: ref } = plan;
  const { dModel, dInner } = await readRegistration(store, modelId);
  const { solved, measures } = await readAttempt(store, planKey, attempt, plan);
  const edits = keptEdits(plan.edits, excluded);
  const manifest = ref === null ? undefined : await readManifest(store, modelId, ref.version);
  const metrics = versionMetrics(measures, solved);
  const shared = { modelDigest, settings, dModel, dInner, edits, metrics };
  const report = await roundReport({
    ...{ ...shared, solved, measures },
    modelName: modelId,
    version: await nextVersion(store, modelId),
    ancestors: manifest ? await ancestorsOf(store, modelId, manifest) : [],
    rejected: plan.rejected,
    ...(action === 'reject' && { rejectedBecause: reason }),
    notes: excluded.map(({ id, reason: why }) => `Edit ${id} was rejected, and the rest solved again: ${why}.`),
    createdAt: now(),
  });
  return { shared, solved, manifest, report };
}

async function publishAttempt(
  { modelId, planKey, attempt }: Input,
  plan: RoundPlan,
  { shared, solved, manifest, report }: Awaited<ReturnType<typeof reportedAttempt>>,
  store: ObjectStore,
  now: () => Date,
): Promise<LatestVersion> {
  const { base: ref } = plan;
  const { hooks, removedIds } = await readHooks(store, attemptKey(planKey, attempt, 'hooks.safetensors'), solved);
  return publishVersion({
    ...{ ...shared, store, modelId, hooks, removedIds, report, now },
    thresholds: solved.thresholds,
    statisticsDigests: Object.fromEntries(plan.statistics.map(({ layer, digest }) => [String(layer), digest])),
    base: ref === null || manifest === undefined ? undefined : { ref, manifest },
    publishedBy: publisherOf(plan.roundId),
  });
}

/** The attempt's segment, if it is the one that was measured. */
async function readHooks(
  store: ObjectStore,
  key: string,
  { segmentSha256, editIds }: { readonly segmentSha256: string; readonly editIds: readonly string[] },
) {
  const { bytes: hooks } = await store.get(key);
  const actual = digestOf(hooks);
  if (actual !== segmentSha256) throw new DigestMismatchError(key, segmentSha256, actual);
  const { removedIds, addedIds } = decodeHookFile(hooks, key).segment;
  if (addedIds.join('\n') !== editIds.join('\n')) {
    throw new MalformedFileError(key, `the ${editIds.length} edits that were solved`, `${addedIds.length} others`);
  }
  return { hooks, removedIds };
}

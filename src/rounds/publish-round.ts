/** @file Ends a round: publishes a solve as a version, or stores the report of a rejected one. */
import { decodeHookIds } from '../editing/index.js';
import { DigestMismatchError, MalformedFileError } from '../errors.js';
import {
  digestOf,
  type LatestVersion,
  nextVersion,
  type ObjectStore,
  putOnce,
  readManifest,
  roundKey,
} from '../registry/index.js';
import { publishVersion } from './publish-version.js';
import type { Judgement, RejectedEdits, RoundMeasures, RoundPlan, SolveRecord } from './records.js';
import { activeOf, keptEdits, renamedText } from './round-edits.js';
import { roundNotes } from './round-notes.js';
import { ancestorsOf, roundReport } from './round-report.js';
import { versionMetrics } from './version-metrics.js';

/** One solve of a round, with everything that was measured of it. */
export interface Attempt {
  readonly plan: RoundPlan;
  readonly dModel: number;
  readonly dInner: number;
  /** Edits of the plan that are not in this solve. */
  readonly rejectedEdits: RejectedEdits;
  readonly solved: SolveRecord;
  readonly measures: RoundMeasures;
  /** What the criteria decided of it. */
  readonly judgement: Pick<Judgement, 'offenders' | 'criteria'>;
}

/** How an attempt is published. */
export interface AttemptPublishing {
  /** Name of the segment's file, for messages. */
  readonly what: string;
  /** Bytes of the segment's file. */
  readonly hooks: Uint8Array;
  /** Who publishes; see `PublishRequest`. */
  readonly publishedBy: string;
  readonly now?: () => Date;
}

/**
 * Publishes an attempt as a version.
 *
 * @throws {StaleBaseError} if `latest` is not the plan's base any more
 * @throws {DigestMismatchError | MalformedFileError} if the segment is not the one that was solved
 */
export async function publishAttempt(
  store: ObjectStore,
  attempt: Attempt,
  { what, hooks, publishedBy, now = () => new Date() }: AttemptPublishing,
): Promise<LatestVersion> {
  const { plan, solved, measures, dModel, dInner } = attempt;
  const { modelId, modelDigest, settings } = plan;
  const remeasured = measures.companions.flatMap(({ version, answer }) => (answer ? [{ ...answer, version }] : []));
  return publishVersion({
    store,
    modelId,
    modelDigest,
    dModel,
    dInner,
    settings,
    thresholds: solved.thresholds,
    statisticsDigests: Object.fromEntries(plan.statistics.map(({ layer, digest }) => [String(layer), digest])),
    hooks,
    answers: [...measures.answers, ...remeasured],
    memories: solved.memories,
    removedIds: removedBy(hooks, solved, what),
    ...(await reportAttempt(store, attempt, undefined, now)),
    publishedBy,
    now,
  });
}

/** Stores the report of an attempt that the criteria rejected. @returns its key */
export async function rejectAttempt(
  store: ObjectStore,
  attempt: Attempt,
  reason: string,
  now: () => Date = () => new Date(),
): Promise<string> {
  const { modelId, roundId } = attempt.plan;
  const { report } = await reportAttempt(store, attempt, reason, now);
  const key = rejectedReportKey(modelId, roundId);
  await putOnce(store, key, new TextEncoder().encode(report));
  return key;
}

/** Key of a rejected round's report; the report of a published round is stored with its version. */
export const rejectedReportKey = (modelId: string, roundId: string): string =>
  roundKey(modelId, roundId, 'report.html');

/** The report of an attempt, and what else of a version follows from it. */
async function reportAttempt(
  store: ObjectStore,
  { plan, dModel, dInner, rejectedEdits, solved, measures, judgement }: Attempt,
  rejectedBecause: string | undefined,
  now: () => Date,
) {
  const { modelId, modelDigest, settings, base: ref } = plan;
  const edits = keptEdits(plan.edits, rejectedEdits);
  const base = ref === null ? undefined : { ref, manifest: await readManifest(store, modelId, ref.version) };
  const metrics = versionMetrics(measures, solved);
  const facts = [...activeOf(base?.manifest), ...edits];
  const { measurements } = measures;
  const notes = roundNotes({ measurements, rivals: solved.rivals, facts });
  const report = await roundReport({
    modelId,
    modelDigest,
    settings,
    dModel,
    dInner,
    edits,
    metrics,
    rejectedEdits: rejectedEdits.map(({ id, reason }) => ({ ...plan.edits.find((edit) => edit.id === id)!, reason })),
    judgement,
    solved,
    measures,
    version: await nextVersion(store, modelId),
    ancestors: base ? await ancestorsOf(store, modelId, base.manifest) : [],
    rejected: plan.rejected,
    ...(rejectedBecause !== undefined && { rejectedBecause }),
    notes: [...(plan.renamed ?? []).map((edit) => `${renamedText(edit)}.`), ...notes.map((note) => `${note}.`)],
    createdAt: now(),
  });
  return { edits, metrics, report, base };
}

/** Checks that the segment is the one that was solved. @returns memories of the base that it removes */
function removedBy(hooks: Uint8Array, { segmentSha256, memories }: SolveRecord, what: string): readonly string[] {
  const actual = digestOf(hooks);
  if (actual !== segmentSha256) throw new DigestMismatchError(what, segmentSha256, actual);
  const { removedIds, addedIds } = decodeHookIds(hooks, what);
  const added = [...new Set(addedIds)];
  if (added.join('\n') === memories.map(({ id }) => id).join('\n')) return removedIds;
  throw new MalformedFileError(what, `the ${memories.length} memories that were solved`, `${added.length} others`);
}

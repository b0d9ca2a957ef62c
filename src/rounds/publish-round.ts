/** @file Ends a round: its report, and the version that it becomes. */
import { decodeHookFile, type Edit, type Hyperparameters } from '../editing/index.js';
import { DigestMismatchError, MalformedFileError } from '../errors.js';
import {
  type Base,
  canonicalJson,
  type DraftEdit,
  digestOf,
  type LatestVersion,
  type Manifest,
  type ManifestDraft,
  nextVersion,
  type ObjectStore,
  publish,
  putOnce,
  readManifest,
  roundKey,
} from '../registry/index.js';
import type { RejectedEdits, RoundMeasures, RoundPlan, SolveRecord, VersionMetrics } from './records.js';
import { keptEdits, renamedText } from './round-edits.js';
import { ancestorsOf, roundReport } from './round-report.js';
import { versionMetrics } from './version-metrics.js';

/** One solve of a round with all that was measured of it. */
export interface Attempt {
  readonly plan: RoundPlan;
  readonly dModel: number;
  readonly dInner: number;
  /** Edits of the plan that the criteria rejected before this solve. */
  readonly rejectedEdits: RejectedEdits;
  readonly solved: SolveRecord;
  readonly measures: RoundMeasures;
}

/** How an attempt is published. */
export interface AttemptPublishing {
  /** Name of the segment's file, for messages. */
  readonly what: string;
  /** Bytes of the segment's file. */
  readonly hooks: Uint8Array;
  /** Whose publish it is; see `PublishRequest`. */
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
  const { plan, solved, dModel, dInner } = attempt;
  const { modelId, modelDigest, settings, base: ref } = plan;
  const { report, metrics, edits, parent } = await toldOf(store, attempt, undefined, now);
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
    removedIds: removedBy(hooks, solved, what),
    edits,
    base: ref === null || parent === undefined ? undefined : { ref, manifest: parent },
    metrics,
    report,
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
  const { report } = await toldOf(store, attempt, reason, now);
  const key = rejectedReportKey(modelId, roundId);
  await putOnce(store, key, new TextEncoder().encode(report));
  return key;
}

/** Key of the report of a round that was rejected; a published one's is with its version. */
export const rejectedReportKey = (modelId: string, roundId: string): string =>
  roundKey(modelId, roundId, 'report.html');

/** Metrics and report of an attempt. */
async function toldOf(
  store: ObjectStore,
  { plan, dModel, dInner, rejectedEdits, solved, measures }: Attempt,
  rejectedBecause: string | undefined,
  now: () => Date,
) {
  const { modelId, modelDigest, settings, base } = plan;
  const edits = keptEdits(plan.edits, rejectedEdits);
  const parent = base === null ? undefined : await readManifest(store, modelId, base.version);
  const metrics = versionMetrics(measures, solved);
  const report = await roundReport({
    modelId,
    modelDigest,
    settings,
    dModel,
    dInner,
    edits,
    metrics,
    solved,
    measures,
    version: await nextVersion(store, modelId),
    ancestors: parent ? await ancestorsOf(store, modelId, parent) : [],
    rejected: plan.rejected,
    ...(rejectedBecause !== undefined && { rejectedBecause }),
    notes: [
      ...(plan.renamed ?? []).map((edit) => `${renamedText(edit)}.`),
      ...rejectedEdits.map(({ id, reason }) => `Edit ${id} was rejected, and the rest solved again: ${reason}.`),
    ],
    createdAt: now(),
  });
  return { edits, metrics, report, parent };
}

/** Ids of the base's edits that the segment takes back, if it is the one that was measured. */
function removedBy(hooks: Uint8Array, { segmentSha256, editIds }: SolveRecord, what: string): readonly string[] {
  const actual = digestOf(hooks);
  if (actual !== segmentSha256) throw new DigestMismatchError(what, segmentSha256, actual);
  const { removedIds, addedIds } = decodeHookFile(hooks, what).segment;
  if (addedIds.join('\n') === editIds.join('\n')) return removedIds;
  throw new MalformedFileError(what, `the ${editIds.length} edits that were solved`, `${addedIds.length} others`);
}

/** A version to publish, on top of a base. */
export interface PublishVersionRequest {
  readonly store: ObjectStore;
  readonly modelId: string;
  readonly modelDigest: string;
  readonly dModel: number;
  readonly dInner: number;
  readonly settings: Hyperparameters;
  readonly thresholds: ManifestDraft['gate']['thresholds'];
  readonly statisticsDigests: Readonly<Record<string, string>>;
  /** Bytes of the round's segment. */
  readonly hooks: Uint8Array;
  /** In the order of the segment. */
  readonly edits: readonly Edit[];
  /** Active edits of the base that the segment takes back. */
  readonly removedIds: readonly string[];
  /** What becomes of them; `overwritten` unless said otherwise. */
  readonly removedStatus?: 'overwritten' | 'revoked';
  readonly base: { readonly ref: Base; readonly manifest: Manifest } | undefined;
  readonly metrics: VersionMetrics;
  readonly report: string;
  /** Whose publish it is; see `PublishRequest`. */
  readonly publishedBy: string;
  readonly now?: () => Date;
}

/**
 * Publishes a round as a version. It ships its own rows only; its manifest names the earlier segments that it stands on.
 *
 * @throws {StaleBaseError} if somebody else moved the pointer
 */
export function publishVersion(request: PublishVersionRequest): Promise<LatestVersion> {
  const { store, modelId, base, publishedBy, now } = request;
  const edits = request.edits.map((edit) => `${canonicalJson(edit)}\n`).join('');
  return publish(store, modelId, {
    manifest: draftManifest(request),
    files: new Map([
      ['hooks.safetensors', request.hooks],
      ['report.html', new TextEncoder().encode(request.report)],
      ['edits.jsonl', new TextEncoder().encode(edits)],
    ]),
    base: base?.ref ?? null,
    publishedBy,
    ...(now && { now }),
  });
}

function draftManifest(request: PublishVersionRequest): ManifestDraft {
  const { settings, modelDigest, dModel, dInner, thresholds, statisticsDigests, base, metrics } = request;
  return {
    modelDigest,
    hyperparameters: settings,
    layers: settings.layers,
    dModel,
    dInner,
    gate: { kind: settings.gate, thresholds },
    statistics: statisticsDigests,
    segments: base?.manifest.segments ?? [],
    edits: draftEdits(request),
    metrics,
  };
}

function draftEdits({ edits, removedIds, removedStatus, base }: PublishVersionRequest): DraftEdit[] {
  const status = removedStatus ?? 'overwritten';
  const removed = new Set(removedIds);
  const earlier = (base?.manifest.edits ?? []).map((edit) =>
    removed.has(edit.id) && edit.status === 'active' ? { ...edit, status } : edit,
  );
  return [...earlier, ...edits.map((edit) => draftEdit(edit, earlier))];
}

function draftEdit({ id, subject, prompt, targetNew, targetTrue }: Edit, earlier: readonly DraftEdit[]): DraftEdit {
  const last = earlier.findLast((old) => old.subject === subject && old.prompt === prompt);
  return {
    id,
    subject,
    prompt,
    targetNew,
    ...(targetTrue !== undefined && { targetTrue }),
    status: 'active',
    // A fact whose last edit was revoked is written anew: there was nothing to overwrite.
    ...(last?.status === 'overwritten' && { overwrites: last.id }),
  };
}

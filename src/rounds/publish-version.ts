import type { Edit, Hyperparameters } from '../editing/index.js';
import {
  type Base,
  type DraftEdit,
  type LatestVersion,
  type Manifest,
  type ManifestDraft,
  type ObjectStore,
  publish,
} from '../registry/index.js';
import type { VersionMetrics } from './records.js';

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
  const edits = request.edits.map((edit) => `${JSON.stringify(edit)}\n`).join('');
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

/** @file Publishes what a round or a revocation made as the next version of a model. */
import type { Edit, Hyperparameters } from '../editing/index.js';
import { factOf, type LiveAnswer } from '../evaluation/index.js';
import {
  type Base,
  canonicalJson,
  type DraftEdit,
  type LatestVersion,
  type Manifest,
  type ManifestDraft,
  memoryOf,
  type ObjectStore,
  publish,
} from '../registry/index.js';
import type { Memory, VersionMetrics } from './records.js';

/** What was said when an edit was measured. */
export interface MeasuredAnswer extends Pick<LiveAnswer, 'id' | 'said' | 'chat'> {
  /** The version that wrote the edit; left out for those of the version itself. */
  readonly version?: number;
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
  /** Bytes of the version's own segment. */
  readonly hooks: Uint8Array;
  /** The edits that the segment writes. */
  readonly edits: readonly Edit[];
  /** What was said of these edits, by their ids, and of earlier ones that were measured again. */
  readonly answers: readonly MeasuredAnswer[];
  /** What the segment's rows say. */
  readonly memories: readonly Memory[];
  /** Memories of the base whose rows the segment removes. What they said and no new memory says is not active any more. */
  readonly removedIds: readonly string[];
  /** The status that such edits get; `overwritten` unless given. */
  readonly removedStatus?: 'overwritten' | 'revoked';
  readonly base: { readonly ref: Base; readonly manifest: Manifest } | undefined;
  readonly metrics: VersionMetrics;
  readonly report: string;
  /** Who publishes; see `PublishRequest`. */
  readonly publishedBy: string;
  readonly now?: () => Date;
}

/**
 * Publishes a version. It stores its own segment only; its manifest names the earlier segments that it stands on.
 *
 * @throws {StaleBaseError} if somebody else published since the base was read
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

function draftEdits(request: PublishVersionRequest) {
  const { edits, answers, memories, removedIds, removedStatus: status = 'overwritten', base } = request;
  const removed = new Set(removedIds);
  const placeOf = ({ version, id }: { readonly version?: number; readonly id: string }) => `${version} ${id}`;
  const newMemoryOf = new Map(memories.flatMap(({ id, earlier }) => earlier.map((fact) => [placeOf(fact), id])));
  const answerOf = new Map(answers.map((answer) => [placeOf(answer), saidFields(answer)]));
  const earlier = (base?.manifest.edits ?? []).map((edit) => {
    if (edit.status !== 'active') return edit;
    const measured = { ...edit, ...answerOf.get(placeOf(edit)) };
    if (!removed.has(memoryOf(edit))) return measured;
    const memory = newMemoryOf.get(placeOf(edit));
    return memory === undefined ? { ...edit, status } : { ...measured, memory };
  });
  const lastOf = new Map(earlier.map((edit) => [factOf(edit), edit]));
  const memoryOfNew = new Map(memories.flatMap(({ id, editIds }) => editIds.map((editId) => [editId, id])));
  const own = edits.map((edit) => ({
    ...draftEdit(edit, memoryOfNew.get(edit.id), lastOf.get(factOf(edit))),
    ...answerOf.get(placeOf({ id: edit.id })),
  }));
  return [...earlier, ...own];
}

const saidFields = ({ said, chat }: MeasuredAnswer) => ({ said, ...(chat && { inChat: chat.hasTarget }) });

/** @param last the last earlier edit of the same fact, if there is one */
function draftEdit(
  { id, subject, aliases, prompt, targetNew, targetTrue }: Edit,
  memory: string | undefined,
  last: DraftEdit | undefined,
): DraftEdit {
  return {
    id,
    subject,
    prompt,
    targetNew,
    ...(targetTrue !== undefined && { targetTrue }),
    ...(aliases.length > 0 && { aliases: [...aliases] }),
    ...(memory !== undefined && { memory }),
    status: 'active',
    // If the last edit of this fact was revoked, there was nothing left to overwrite.
    ...(last?.status === 'overwritten' && { overwrites: last.id }),
  };
}

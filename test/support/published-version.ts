import { join } from 'node:path';
import { withoutEdits } from '../../src/editing/edit-state.js';
import {
  type EditState,
  emptyState,
  encodeHookFile,
  type HookSegment,
  type Hyperparameters,
  replaySegments,
  segmentStorage,
} from '../../src/editing/index.js';
import { appendRound, type Matrix, PlainGemmEngine } from '../../src/linalg/index.js';
import { identity } from '../../src/linalg/matrix.js';
import type { ModelConfig } from '../../src/model/index.js';
import {
  type DraftEdit,
  type LatestVersion,
  latest,
  memoryOf,
  type ObjectStore,
  publish,
} from '../../src/registry/index.js';
import { draftEdit, manifestDraft } from './manifest-draft.js';
import { gaussian } from './random-matrix.js';

/** What versions with real hook files are made of. */
export interface HookedModel {
  readonly config: ModelConfig;
  readonly settings: Hyperparameters;
  readonly modelDigest: string;
  /** Keys of the rows [dInner, ids]; random ones unless said otherwise. */
  readonly keysOf?: (layer: number, ids: readonly string[]) => Matrix;
  /** Standard deviation of the residuals' entries; 1 unless said otherwise. */
  readonly residualScale?: number;
}

/** A segment of random rows on top of a state. @param addedIds the memory of each row */
export async function randomSegment(
  { config, settings, keysOf, residualScale = 1 }: HookedModel,
  before: EditState,
  addedIds: readonly string[],
  removedIds: readonly string[] = [],
): Promise<HookSegment> {
  const { dInner, dModel } = config;
  const engine = new PlainGemmEngine();
  const state = await withoutEdits(before, removedIds, engine);
  const layers = await Promise.all(
    state.layers.map(async ({ layer, memory, sequenceThreshold }) => {
      const keys = keysOf?.(layer, addedIds) ?? gaussian(dInner, addedIds.length, 10 * before.rowIds.length + layer);
      const directions = gaussian(dModel, addedIds.length, 1000 + 10 * before.rowIds.length + layer);
      const residuals = { ...directions, data: directions.data.map((value) => residualScale * value) };
      const storage = segmentStorage(dInner, dModel);
      const { segment: round } = await appendRound(memory, keys, residuals, identity(dInner), engine, storage);
      return { layer, round, thresholds: addedIds.map(() => settings.similarityThreshold), sequenceThreshold };
    }),
  );
  return { removedIds, addedIds, layers };
}

/** A published version and the state it stands for. */
export interface PublishedState {
  readonly version: LatestVersion;
  readonly state: EditState;
}

/** What a round adds to a version and takes out of it. */
export interface RandomRound {
  /** The memory of each row. */
  readonly addedIds: readonly string[];
  /** What the rows are to say, beside the facts of memories that are only replaced; one edit each, with the memory's id, by default. */
  readonly edits?: readonly DraftEdit[];
  /** Memories whose rows go. Those that are not added again are overwritten. */
  readonly removedIds?: readonly string[];
}

interface SegmentToPublish {
  readonly base: LatestVersion | undefined;
  readonly segment: HookSegment;
  readonly edits: readonly DraftEdit[];
}

/** Publishes segments of random rows one after the other, each on top of the one before. */
export async function publishRounds(
  store: ObjectStore,
  modelId: string,
  model: HookedModel,
  rounds: readonly RandomRound[],
): Promise<PublishedState[]> {
  const published: PublishedState[] = [];
  let state = emptyState(model.config, model.settings);
  for (const { addedIds, edits = distinctEdits(addedIds), removedIds = [] } of rounds) {
    const base = await latest(store, modelId);
    const segment = await randomSegment(model, state, addedIds, removedIds);
    state = await replaySegments(state, [segment], new PlainGemmEngine());
    const version = await publishSegment(store, modelId, model, { base, segment, edits });
    published.push({ version, state });
  }
  return published;
}

const distinctEdits = (ids: readonly string[]): DraftEdit[] => [...new Set(ids)].map((id) => draftEdit(id));

async function publishSegment(
  store: ObjectStore,
  modelId: string,
  { config, settings, modelDigest, keysOf }: HookedModel,
  { base, segment, edits: written }: SegmentToPublish,
): Promise<LatestVersion> {
  const { dInner, dModel } = config;
  const sketches = base
    ? []
    : settings.layers.map((layer) => ({ layer, sketch: keysOf ? identity(dInner) : gaussian(2, dInner, layer) }));
  const { removedIds, addedIds } = segment;
  const isGone = (memory: string) => removedIds.includes(memory) && !addedIds.includes(memory);
  const earlier = (base?.manifest.edits ?? []).map(
    (edit): DraftEdit => (isGone(memoryOf(edit)) ? { ...edit, status: 'overwritten' } : edit),
  );
  const round = earlier.length;
  const measured = {
    metrics: { reliability: 1, generality: 0.9, locality: 0.975 + round / 1000, retention: round === 0 ? null : 0.95 },
  };
  const edits = [...earlier, ...written];
  const draft = { ...manifestDraft(edits, base?.manifest.segments), ...measured };
  return publish(store, modelId, {
    manifest: { ...draft, modelDigest, hyperparameters: settings, layers: settings.layers, dModel, dInner },
    files: new Map([['hooks.safetensors', encodeHookFile({ segment, sketches })]]),
    base: base ? { version: base.version, etag: base.etag } : null,
    publishedBy: `round of ${addedIds.join(', ')}`,
  });
}

/** The path of a golden file. */
export const golden = (...parts: string[]): string => join(import.meta.dirname, '../golden', ...parts);

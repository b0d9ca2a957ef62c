/** @file Versions with real edits on the golden models: what is exported or served elsewhere. */

import {
  type EditState,
  emptyState,
  encodeHookFile,
  type HookSegment,
  type Hyperparameters,
  KeyCollection,
  type KeyStatistics,
  resolveHyperparameters,
  roundSketch,
  segmentStorage,
  writeRound,
} from '../../src/editing/index.js';
import { inverseFactor, matrix, PlainGemmEngine } from '../../src/linalg/index.js';
import { loadModel, type Model, modelDigest } from '../../src/model/index.js';
import { type DraftEdit, type LatestVersion, type PulledVersion, publish, pull } from '../../src/registry/index.js';
import { MemoryObjectStore } from '../../src/registry/memory-object-store.js';
import type { VersionHooks } from '../../src/serving/index.js';
import { versionHooks } from '../../src/serving/version-hooks.js';
import { GoldenModel } from '../parity/golden-model.js';
import { draftEdit, manifestDraft } from './manifest-draft.js';

/** A golden model with its last published version. */
export interface GoldenVersion {
  readonly golden: GoldenModel;
  readonly model: Model;
  readonly pulled: PulledVersion;
  readonly version: VersionHooks;
}

/** Taken back by the second round while it writes, and by the third version, which writes nothing. */
export const removedIds = ['edit-1', 'edit-3'] as const;

/**
 * Writes the two golden rounds, ten times as hard as the goldens do so that answers change; the second takes back an edit of
 * the first. A third version revokes one more edit. All are published.
 */
export async function publishGoldenVersion(name: string): Promise<GoldenVersion> {
  const golden = new GoldenModel(name);
  const model = await loadModel(golden.directory);
  const { layers, momentWeight, tau } = golden.record.rounds;
  const relative = { momentWeight: momentWeight / 10 / model.config.dInner, similarityThreshold: tau };
  const settings = resolveHyperparameters({ layers, ...relative }, model.config);
  const statistics = await goldenStatistics(golden, layers);
  const segments = await goldenSegments(golden, model, settings, statistics);
  const store = new MemoryObjectStore();
  const base = { modelDigest: await modelDigest(model), hyperparameters: settings, layers };
  const { dInner, dModel } = model.config;
  let latest: LatestVersion | undefined;
  for (const segment of segments) {
    const draft = manifestDraft(editsAfter(segment, latest), latest?.manifest.segments);
    const hooks = encodeHookFile({ segment, sketches: latest ? [] : statistics });
    latest = await publish(store, name, {
      manifest: { ...draft, ...base, dInner, dModel },
      files: new Map([['hooks.safetensors', hooks]]),
      base: latest ? { version: latest.version, etag: latest.etag } : null,
      publishedBy: 'a test',
    });
  }
  const pulled = await pull(store, name);
  return { golden, model, pulled, version: await versionHooks(pulled) };
}

/** With a sketch of full rank: the gate is exact but for the sketch's own rounding. */
function goldenStatistics(golden: GoldenModel, layers: readonly number[]): Promise<KeyStatistics[]> {
  return Promise.all(
    layers.map(async (layer) => {
      const factor = await inverseFactor(golden.matrix(`moment.layer.${layer}.moment`), new PlainGemmEngine());
      return { layer, inverseFactor: factor, sketch: roundSketch(factor) };
    }),
  );
}

async function goldenSegments(
  golden: GoldenModel,
  model: Model,
  settings: Hyperparameters,
  statistics: readonly KeyStatistics[],
): Promise<HookSegment[]> {
  const { dInner, dModel } = model.config;
  const collection = await KeyCollection.compile(model, settings);
  const storage = segmentStorage(dInner, dModel);
  const context = { settings, collection, statistics, engine: new PlainGemmEngine(), rowsPerBatch: 1000, storage };
  const [overwritten, revoked] = removedIds;
  const segments: HookSegment[] = [];
  let state = emptyState(model.config, settings);
  for (const [r, batch] of golden.record.rounds.batches.entries()) {
    const edits = batch.map((index) => golden.edit(index));
    const targets = golden.matrix(`rounds.targets.${r}`);
    const round = await writeRound(context, state, edits, targets, r === 0 ? [] : [overwritten]);
    state = round.state;
    segments.push(round.segment);
  }
  await collection.dispose();
  return [...segments, revocation(state, revoked)];
}

/** A segment without rows that takes an edit back. */
function revocation(state: EditState, id: string): HookSegment {
  const left = state.editIds.length - 1;
  return {
    removedIds: [id],
    addedIds: [],
    layers: state.layers.map(({ layer, memory: { dInner, dModel }, sequenceThreshold }) => ({
      layer,
      round: { whitenedKeys: matrix(0, dInner), targets: matrix(dModel, 0), gramRows: matrix(0, left) },
      thresholds: [],
      sequenceThreshold,
    })),
  };
}

function editsAfter(segment: HookSegment, latest: LatestVersion | undefined): DraftEdit[] {
  const earlier = (latest?.manifest.edits ?? []).map(
    (edit): DraftEdit => (segment.removedIds.includes(edit.id) ? { ...edit, status: 'revoked' } : edit),
  );
  return [...earlier, ...segment.addedIds.map((id) => draftEdit(id))];
}

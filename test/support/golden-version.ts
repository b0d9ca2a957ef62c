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
import type { KeyRow } from '../../src/editing/key-rows.js';
import { inverseFactor, matrix, PlainGemmEngine } from '../../src/linalg/index.js';
import { loadModel, type Model, modelDigest } from '../../src/model/index.js';
import { type DraftEdit, type LatestVersion, type PulledVersion, publish, pull } from '../../src/registry/index.js';
import { MemoryObjectStore } from '../../src/registry/memory-object-store.js';
import type { RowEdits, VersionHooks } from '../../src/serving/index.js';
import { versionHooks } from '../../src/serving/version-hooks.js';
import { GoldenModel } from '../parity/golden-model.js';
import { draftEdit, manifestDraft } from './manifest-draft.js';
import { selectColumns } from './select-columns.js';

/** A golden model with its last published version. */
export interface GoldenVersion {
  readonly golden: GoldenModel;
  readonly model: Model;
  readonly pulled: PulledVersion;
  readonly version: VersionHooks;
}

/** Taken back by the second round while it writes, and by the third version, which writes nothing. */
const removedIds = ['edit-1', 'edit-3'] as const;

/**
 * Subjects of two facts each, by the golden edit that is written under their memory. That of `edit-4` has two rows: one for its
 * bare prompt, one for the others. All other edits are as before 0.2: a fact and a row each, under one id.
 */
const subjects: ReadonlyMap<number, { readonly memory: string; readonly subject: string; readonly rows: number }> =
  new Map([
    [0, { memory: 'memory-0', subject: 'Nought', rows: 1 }],
    [4, { memory: 'memory-4', subject: 'Four', rows: 2 }],
  ]);

/** What each row of the last version says. */
export const goldenRows: readonly RowEdits[] = [
  { subject: 'Nought', editIds: ['edit-0', 'edit-0-also'] },
  { subject: 'subject of edit-2', editIds: ['edit-2'] },
  { subject: 'Four', editIds: ['edit-4', 'edit-4-also'] },
  { subject: 'Four', editIds: ['edit-4', 'edit-4-also'] },
  { subject: 'subject of edit-5', editIds: ['edit-5'] },
];

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
  // As the goldens are: a row's residual is what the others leave of its target.
  const segments = await goldenSegments(golden, model, { ...settings, gate: 'key' }, statistics);
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
    const written = batch.flatMap((index, column) => rowsOf(golden, index, settings).map((row) => ({ row, column })));
    const rows = written.map(({ row }) => row);
    const targets = selectColumns(
      golden.matrix(`rounds.targets.${r}`),
      written.map(({ column }) => column),
    );
    const round = await writeRound(context, state, { rows, targets, prompts: [] }, r === 0 ? [] : [overwritten]);
    state = round.state;
    segments.push(round.segment);
  }
  await collection.dispose();
  return [...segments, revocation(state, revoked)];
}

/** The rows of a golden edit's memory. */
function rowsOf({ record }: GoldenModel, index: number, { similarityThreshold: threshold }: Hyperparameters): KeyRow[] {
  const texts = record.edits[index].prompts.map(({ ids, lookupIndex }) => ({ tokenIds: ids, lookupIndex }));
  const { memory: id, rows } = subjects.get(index) ?? { memory: `edit-${index}`, rows: 1 };
  const parts = rows === 1 ? [texts] : [texts.slice(0, 1), texts.slice(1)];
  return parts.map((part) => ({ id, threshold, texts: part.map((text) => ({ ...text, weight: 1 / part.length })) }));
}

/** A segment without rows that takes an edit back. */
function revocation(state: EditState, id: string): HookSegment {
  const left = state.rowIds.length - 1;
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
  return [...earlier, ...[...new Set(segment.addedIds)].flatMap(factsOf)];
}

/** What the rows of a memory say. */
function factsOf(memory: string): DraftEdit[] {
  const found = [...subjects].find(([, one]) => one.memory === memory);
  if (found === undefined) return [draftEdit(memory)];
  const [index, { subject }] = found;
  const first = draftEdit(`edit-${index}`, { subject, memory });
  return [first, { ...first, id: `edit-${index}-also`, prompt: '{} speaks' }];
}

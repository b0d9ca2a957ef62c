/** @file Revokes edits: solves again without them from the stored keys and targets, measures the result and publishes it. */
import {
  defaultMemoryBudgetBytes,
  type EditState,
  encodeHookFile,
  type HookLayer,
  type HookSegment,
  hooksOf,
  replaySegments,
  storedHyperparametersSchema,
} from '../../editing/index.js';
import { InvalidInputError, StaleBaseError } from '../../errors.js';
import type { Listener } from '../../progress.js';
import {
  type LatestVersion,
  latest,
  type Manifest,
  type ManifestEdit,
  memoryOf,
  nextVersion,
  type ObjectStore,
} from '../../registry/index.js';
import { withGemmEngine } from '../../runtime/index.js';
import { loadVersionHooks } from '../../serving/index.js';
import { loadStatistics } from '../../statistics/index.js';
import type { HookedSubject } from '../evaluate-version.js';
import { gateThresholds } from '../gate-thresholds.js';
import { layerChanges } from '../layer-changes.js';
import { type PublishVersionRequest, publishVersion } from '../publish-version.js';
import type { Memory } from '../records.js';
import { removingSegment } from '../removing-segment.js';
import { type Ancestor, ancestorsOf } from '../round-report.js';
import { valuesOf } from '../search-values.js';
import { writeValues } from '../solve-round.js';
import { memoriesIn, memoriesOf, type Subject, subjectsLeft, writtenFacts } from '../subjects.js';
import { Workbench } from '../workbench.js';
import { writtenEdits } from '../written-edits.js';
import { fallenBeyond, type RevokeMeasurement, type RevokeMeasures, revokeMeasures } from './revoke-measures.js';
import { revokeMetrics } from './revoke-metrics.js';
import { revokeReport } from './revoke-report.js';
import { type NotRestored, notRestored, type RevokeSelection, revokeSelection } from './revoke-selection.js';

/** Edits of a model's latest version to revoke. */
export interface RevokeEditsRequest {
  readonly store: ObjectStore;
  readonly modelId: string;
  readonly selection: RevokeSelection;
  /** The versions' model, compiled for their layers and gate. */
  readonly subject: Omit<HookedSubject, 'hooks'>;
  /** Token sequences of ordinary text for drift. */
  readonly heldOut: readonly (readonly number[])[];
  /** How much reliability any other edit may lose. */
  readonly tolerance: number;
  /** Whether to publish although another edit loses more. */
  readonly force: boolean;
  /** Who publishes; see `PublishRequest`. */
  readonly publishedBy: string;
}

/** A published revocation. */
export interface Revocation {
  readonly published: LatestVersion;
  /** The version that the edits were revoked from. */
  readonly base: number;
  readonly measures: RevokeMeasures;
  readonly notRestored: readonly NotRestored[];
}

/** After so many tries, of which each met another version published meanwhile, the revocation fails. */
const mostTries = 5;

/**
 * Publishes the latest version without some of its edits, as if they had never been written. If another writer publishes
 * meanwhile, such as a round of the workflow, the revocation begins again on that version.
 *
 * @throws {InvalidInputError} if a selected edit is not active, or another edit loses more than is tolerated
 * @throws {StaleBaseError} if another writer published during every try
 */
export async function revokeEdits(request: RevokeEditsRequest, listener: Listener = {}): Promise<Revocation> {
  for (let tries = 1; ; tries++) {
    try {
      return await revokeOnLatest(request, listener);
    } catch (error) {
      if (!(error instanceof StaleBaseError) || tries === mostTries) throw error;
      listener.onNotice?.(`version ${error.latestVersion} became the latest meanwhile: revoking from that one`);
    }
  }
}

async function revokeOnLatest(request: RevokeEditsRequest, listener: Listener): Promise<Revocation> {
  const { store, modelId, subject, heldOut } = request;
  const rest = await withoutRevoked(await requireLatest(store, modelId), request, listener);
  const { base, ancestors, revoked, kept, state } = rest;
  const compared = {
    ...subject,
    before: rest.hooksBefore,
    after: rest.hooks,
    memories: memoriesOf(base.manifest, rest),
    rowIds: state.rowIds,
  };
  const texts = (edits: readonly ManifestEdit[]) => writtenEdits(store, ancestors, edits);
  const measured = { revoked: await texts(revoked), kept: await texts(kept), heldOut };
  const measures = await revokeMeasures(compared, measured, listener);
  const forced = mustBeForced(request, base.version, measures.kept);
  const metrics = revokeMetrics(measures, { secondsForSolve: rest.secondsForSolve, forced });
  const lost = notRestored(base.manifest.edits, revoked);
  const report = await revokeReport({
    version: await nextVersion(store, modelId),
    ancestors,
    measures,
    metrics,
    layers: await withGemmEngine((engine) => layerChanges(subject.edited.model, state, engine)),
    revoked,
    kept,
    notRestored: lost,
    createdAt: new Date(),
  });
  const answers = measures.kept.map(({ answer }, e) => ({ ...answer, version: kept[e].version }));
  const published = await publishRest(request, rest, { metrics, report, answers });
  return { published, base: base.version, measures, notRestored: lost };
}

async function requireLatest(store: ObjectStore, modelId: string): Promise<LatestVersion> {
  const found = await latest(store, modelId);
  if (found === undefined) throw new InvalidInputError(`model ${modelId}`, 'a published version', 'none in this store');
  return found;
}

/** A version without the revoked edits, not yet measured. */
interface Rest {
  readonly base: LatestVersion;
  /** Manifests from the first version to the base. */
  readonly ancestors: readonly Ancestor[];
  readonly revoked: readonly ManifestEdit[];
  readonly kept: readonly ManifestEdit[];
  readonly segment: HookSegment;
  /** What the segment's rows say. */
  readonly memories: readonly Memory[];
  readonly state: EditState;
  readonly hooksBefore: readonly HookLayer[];
  readonly hooks: readonly HookLayer[];
  readonly secondsForSolve: number;
}

/** Solves without the revoked edits. The state is replayed from the segment, as every consumer of the version does. */
async function withoutRevoked(base: LatestVersion, request: RevokeEditsRequest, listener: Listener): Promise<Rest> {
  const { store, modelId, selection } = request;
  const { manifest, version } = base;
  const revoked = revokeSelection(manifest, selection);
  const kept = manifest.edits.filter((edit) => edit.status === 'active' && !revoked.includes(edit));
  const before = await loadVersionHooks(store, modelId, version);
  const removedIds = [...new Set(revoked.map(memoryOf))];
  // Facts of the same subjects need a value without the revoked ones.
  const staying = kept.filter((edit) => removedIds.includes(memoryOf(edit)));
  const subjects = subjectsLeft(await writtenFacts(store, manifest, staying));
  const written = await rewritten(request, manifest, before.state, subjects, listener);
  const startedAt = performance.now();
  const segment = written ?? removingSegment(before.state, removedIds);
  const state = await withGemmEngine((engine) => replaySegments(before.state, [segment], engine));
  const secondsForSolve = (performance.now() - startedAt) / 1000;
  return {
    base,
    ancestors: await ancestorsOf(store, modelId, manifest),
    revoked,
    kept,
    segment,
    memories: memoriesIn(subjects),
    state,
    hooksBefore: before.hooks,
    hooks: hooksOf(state, before.sketches),
    secondsForSolve,
  };
}

/**
 * The segment with a new value for each of these subjects. A value that was found before is not searched again. Undefined where
 * there are none.
 */
async function rewritten(
  { store, modelId, subject: { edited, tokenizer } }: RevokeEditsRequest,
  manifest: Manifest,
  before: EditState,
  subjects: readonly Subject[],
  listener: Listener,
): Promise<HookSegment | undefined> {
  if (subjects.length === 0) return undefined;
  const { model } = edited;
  const settings = storedHyperparametersSchema.parse(manifest.hyperparameters);
  const { statistics } = await loadStatistics({ store, modelId, model }, manifest.statistics);
  const parts = { store, modelId, modelDigest: manifest.modelDigest, model, tokenizer, settings, statistics, edited };
  const bench = new Workbench({ ...parts, memoryBudgetBytes: defaultMemoryBudgetBytes });
  try {
    const contexts = await bench.contexts();
    const values = await valuesOf(bench, subjects, contexts, listener);
    return (await writeValues(bench, before, { subjects, values, contexts })).segment;
  } finally {
    await bench.dispose();
  }
}

const namedFalls = 5;

/**
 * Whether another edit loses more than is tolerated, so that only force publishes.
 *
 * @throws {InvalidInputError} if it does and there is no force
 */
function mustBeForced(
  { modelId, tolerance, force }: RevokeEditsRequest,
  version: number,
  kept: readonly RevokeMeasurement[],
): boolean {
  const fallen = fallenBeyond(tolerance, kept);
  if (fallen.length === 0 || force) return fallen.length > 0;
  const rounded = (share: number) => String(Number(share.toPrecision(3)));
  const named = fallen
    .slice(0, namedFalls)
    .map(
      ({ edit, before, after }) => `${edit.id} from ${rounded(before.reliability)} to ${rounded(after.reliability)}`,
    );
  const more = fallen.length > named.length ? ` and ${fallen.length - named.length} more` : '';
  throw new InvalidInputError(
    `revocation from version ${version} of ${modelId}`,
    `no other edit to lose more than ${tolerance} of its reliability (--tolerance), or --force`,
    `${named.join(', ')}${more}; nothing was published`,
  );
}

function publishRest(
  { store, modelId, publishedBy }: RevokeEditsRequest,
  { base, segment, memories, state }: Rest,
  told: Pick<PublishVersionRequest, 'metrics' | 'report' | 'answers'>,
): Promise<LatestVersion> {
  const { manifest, version, etag } = base;
  const { modelDigest, dModel, dInner, statistics: statisticsDigests } = manifest;
  return publishVersion({
    ...told,
    store,
    modelId,
    modelDigest,
    dModel,
    dInner,
    statisticsDigests,
    publishedBy,
    settings: storedHyperparametersSchema.parse(manifest.hyperparameters),
    thresholds: gateThresholds(state),
    hooks: encodeHookFile({ segment, sketches: [] }),
    edits: [],
    memories,
    removedIds: segment.removedIds,
    removedStatus: 'revoked',
    base: { ref: { version, etag }, manifest },
  });
}

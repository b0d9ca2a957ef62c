/** @file Makes the plan of a round, which determines everything that its stages compute. */
import { batchByRows, type Edit } from '../../editing/index.js';
import { DigestMismatchError, InvalidInputError } from '../../errors.js';
import type { RejectedLine } from '../../evaluation/index.js';
import {
  contentKey,
  digestOf,
  type LatestVersion,
  type ObjectStore,
  pullFile,
  storeOnce,
  valuesKey,
} from '../../registry/index.js';
import {
  continuedSettings,
  earlierFacts,
  keptEdits,
  type NamedEdits,
  nameEdits,
  plannedContexts,
  type RoundPlan,
  subjectsOf,
  valueKeysOf,
} from '../../rounds/index.js';
import { onlyStored, verifyFactor } from '../../statistics/index.js';
import { readRejections } from '../queue/batch-objects.js';
import { type PendingUnit, readUnit } from '../queue/pending-units.js';
import type { Registration } from '../registration.js';
import { registeredInputs } from './planned-statistics.js';
import { attemptKey, planForm, planKeyOf } from './round-files.js';

/** What a plan is made of. */
export interface PlanRequest {
  readonly store: ObjectStore;
  readonly registration: Registration;
  readonly roundId: string;
  readonly units: readonly PendingUnit[];
  readonly base: LatestVersion | undefined;
  /** Whether nothing else of the model is waiting: of many rounds only the last one compares the gates. */
  readonly isLast: boolean;
}

/** A stored plan, and whether its key statistics are stored too. */
export interface StoredPlan {
  readonly plan: RoundPlan;
  readonly planKey: string;
  readonly areStatisticsStored: boolean;
}

/** Most rejected lines in a plan, and so in a report. */
const shownRejections = 1000;

/**
 * Makes and stores a round's plan. Before that, everything that the round builds on is compared with its digest.
 *
 * @throws {DigestMismatchError | MalformedFileError | NoSuchKeyError} naming the damaged or missing object
 * @throws {InvalidInputError} if the registered model or its settings are not those of the base
 */
export async function makePlan(request: PlanRequest): Promise<StoredPlan> {
  const { store, registration, roundId, base } = request;
  const { modelId, modelDigest } = registration;
  await verifyBase(store, registration, base);
  const settings = base ? continuedSettings(base, registration.settings) : registration.settings;
  const statistics = await namedStatistics(request, settings);
  const areStatisticsStored = await verifyStatistics(request, settings, statistics);
  if (registration.heldOut !== null) await verifyText(store, registration.heldOut);
  const { edits, ...named } = await namedEdits(request);
  const earlier = await earlierFacts(store, base?.manifest, edits);
  const plan: RoundPlan = {
    schemaVersion: 1,
    modelId,
    roundId,
    base: base ? { version: base.version, etag: base.etag } : null,
    modelDigest,
    settings,
    statistics,
    statisticsShards: registration.statistics.shards,
    edits,
    ...named,
    ...(earlier.length > 0 && { earlier }),
    rejected: await rejectedLines(request),
    valueShards: valueShardsOf({ edits, earlier }, registration.valueShardSize),
    validationShards: shardsOf(edits.length, registration.validationShardSize),
    heldOut: registration.heldOut,
    compareGates: registration.compareGates && request.isLast,
  };
  const planKey = planKeyOf(modelId, roundId, contentKey(plan).slice(0, 16));
  await storeOnce(store, planKey, planForm, plan);
  return { plan, planKey, areStatisticsStored };
}

/** Checks the model of the base, and every segment that it consists of. */
async function verifyBase(
  store: ObjectStore,
  registration: Registration,
  base: LatestVersion | undefined,
): Promise<void> {
  if (base === undefined) return;
  const { modelId, modelDigest } = registration;
  if (base.manifest.modelDigest !== modelDigest) {
    const what = `model of ${modelId} version ${base.version}`;
    throw new DigestMismatchError(what, modelDigest, base.manifest.modelDigest);
  }
  for (const segment of base.manifest.segments) await pullFile(store, modelId, segment);
}

/** The statistics of the base, or before the first version those of the registered corpus, or else the only stored ones. */
async function namedStatistics(
  { store, registration, base }: PlanRequest,
  settings: RoundPlan['settings'],
): Promise<RoundPlan['statistics']> {
  const { layers } = settings;
  if (base) return layers.map((layer) => ({ layer, digest: base.manifest.statistics[String(layer)] }));
  const { modelId, modelDigest } = registration;
  const digests = registration.corpus
    ? registeredInputs(registration, settings).map(contentKey)
    : await onlyStored({ store, modelId }, modelDigest, layers);
  return layers.map((layer, i) => ({ layer, digest: digests[i] }));
}

async function verifyStatistics(
  { store, registration }: PlanRequest,
  settings: RoundPlan['settings'],
  statistics: RoundPlan['statistics'],
): Promise<boolean> {
  const { modelId, corpus } = registration;
  const areStored: boolean[] = [];
  // One at a time, because they are large.
  for (const { layer, digest } of statistics) areStored.push(await verifyFactor({ store, modelId }, digest, layer));
  const missing = statistics.filter((_, i) => !areStored[i]);
  if (missing.length === 0) return true;
  const computable = corpus ? registeredInputs(registration, settings).map(contentKey) : [];
  const lost = missing.find(({ digest }) => !computable.includes(digest));
  if (corpus === null || lost !== undefined) {
    const { layer, digest } = lost ?? missing[0];
    const requirement = `${digest} of layer ${layer}, stored or made of the registered model's corpus`;
    throw new InvalidInputError(`key statistics of model ${modelId}`, requirement, 'neither');
  }
  await verifyText(store, corpus);
  return false;
}

async function verifyText(store: ObjectStore, { key, sha256 }: { readonly key: string; readonly sha256: string }) {
  const actual = digestOf((await store.get(key)).bytes);
  if (actual !== sha256) throw new DigestMismatchError(key, sha256, actual);
}

async function namedEdits({ store, registration, units, base }: PlanRequest): Promise<NamedEdits> {
  const written: Edit[] = [];
  for (const unit of units) written.push(...(await readUnit(store, registration.modelId, unit)));
  return nameEdits(written, base?.manifest);
}

/** The rejected lines of the batches whose first unit is in the round, so that each batch's lines are reported once. */
async function rejectedLines({ store, registration, units }: PlanRequest): Promise<RejectedLine[]> {
  const lines: RejectedLine[] = [];
  for (const { digest, unit } of units) {
    if (unit === 1) lines.push(...(await readRejections(store, registration.modelId, digest)));
  }
  return lines.slice(0, shownRejections);
}

/** Shards of about so many edits, with all edits of a subject in one. */
function valueShardsOf(plan: Pick<RoundPlan, 'edits' | 'earlier'>, size: number): number[][] {
  const indexOf = new Map(plan.edits.map(({ id }, index) => [id, index]));
  const subjects = subjectsOf(plan, plan.edits).map(({ edits }) => edits.map(({ id }) => indexOf.get(id)!));
  return batchByRows(subjects, ({ length }) => length, size).map((shard) => shard.flat());
}

function shardsOf(count: number, size: number): number[][] {
  const indices = Array.from({ length: count }, (_, index) => index);
  return Array.from({ length: Math.ceil(count / size) }, (_, shard) => indices.slice(shard * size, (shard + 1) * size));
}

/** Indices of the shards of which some values are not stored; none if the first solve is stored. */
export async function openValueShards(store: ObjectStore, { plan, planKey }: StoredPlan): Promise<number[]> {
  if ((await store.head(attemptKey(planKey, 0, 'solve.json'))) !== undefined) return [];
  const all = plan.valueShards.map((_, shard) => shard);
  const contexts = await plannedContexts(store, plan);
  if (contexts === undefined) return all;
  const isOpen = await Promise.all(
    plan.valueShards.map(async (indices) => {
      const own = indices.map((index) => plan.edits[index]);
      const keys = valueKeysOf(plan, contexts, subjectsOf(plan, keptEdits(own, plan.refused ?? [])));
      const stored = await Promise.all(keys.map((key) => store.head(valuesKey(plan.modelId, key))));
      return stored.some((found) => found === undefined);
    }),
  );
  return all.filter((shard) => isOpen[shard]);
}

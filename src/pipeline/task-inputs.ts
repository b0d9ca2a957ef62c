/** @file What container tasks read before they open a model. */
import type { Edit, Hyperparameters } from '../editing/index.js';
import { DigestMismatchError, InvalidInputError } from '../errors.js';
import type { Manifest, ObjectStore } from '../registry/index.js';
import { resolveDevice } from '../runtime/index.js';
import { loadVersionHooks, type VersionHooks } from '../serving/index.js';
import { storedContexts } from './context-templates.js';
import type { TaskInput } from './contract.js';
import type { ModelCard } from './model-card.js';
import { readPlanByKey } from './own-plan.js';
import { readModelCard } from './round-files.js';
import type { Exclusions, RoundPlan } from './round-plan.js';
import { loadStatistics } from './statistics.js';
import type { TaskDependencies } from './task-dependencies.js';
import { type ValueInputs, valueKeyOf } from './value-key.js';

/** A round as a task sees it. */
export interface PlannedRound {
  readonly plan: RoundPlan;
  readonly card: ModelCard;
}

/**
 * @throws {InvalidInputError} if the plan is not under its own key
 * @throws {DigestMismatchError} if the model was registered anew as another one since the plan was made
 */
export async function readPlannedRound(
  { planKey }: Pick<TaskInput, 'planKey'>,
  { store }: { readonly store: ObjectStore },
): Promise<PlannedRound> {
  const plan = await readPlanByKey(store, planKey);
  const card = await readModelCard(store, plan.modelId);
  requireModel(`model of ${planKey}`, card.modelDigest, plan.modelDigest);
  return { plan, card };
}

/** The version that the round stands on; undefined before the first one. */
export async function readBase(
  { store, device: choice }: Pick<TaskDependencies, 'store' | 'device'>,
  plan: RoundPlan,
): Promise<VersionHooks | undefined> {
  if (plan.base === null) return undefined;
  const { version } = plan.base;
  const base = await loadVersionHooks(store, plan.modelId, version, { device: await resolveDevice(choice) });
  requireModel(`model of version ${version} of ${plan.modelId}`, plan.modelDigest, base.manifest.modelDigest);
  return base;
}

function requireModel(what: string, expected: string, actual: string): void {
  if (actual !== expected) throw new DigestMismatchError(what, expected, actual);
}

/** @throws {InvalidInputError} if there is no such shard */
export function itemsOfShard<T>(shards: readonly (readonly T[])[], shard: number): readonly T[] {
  requireShard(shard, shards.length);
  return shards[shard];
}

/** @throws {InvalidInputError} if there is no such shard */
export function requireShard(shard: number, shards: number): void {
  if (shard < shards) return;
  throw new InvalidInputError('--shard', `one of the plan's ${shards}, counted from 0`, String(shard));
}

/** The edits of a plan that a solve writes. */
export function keptEdits(edits: readonly Edit[], exclusions: Exclusions): readonly Edit[] {
  const excluded = new Set(exclusions.map(({ id }) => id));
  return edits.filter(({ id }) => !excluded.has(id));
}

/** Ids of the base's edits that the kept ones overwrite. */
export function removedIdsOf({ overwrites }: RoundPlan, kept: readonly Pick<Edit, 'id'>[]): string[] {
  const ids = new Set(kept.map(({ id }) => id));
  return [...new Set(overwrites.filter(({ newId }) => ids.has(newId)).map(({ oldId }) => oldId))];
}

/** The statistics that the plan names. @throws {InvalidInputError | DigestMismatchError} if they are missing or damaged */
export async function readStatistics(store: ObjectStore, { plan, card }: PlannedRound) {
  const digests = Object.fromEntries(plan.statistics.map(({ layer, digest }) => [layer, digest]));
  const place = { store, modelId: plan.modelId, model: { config: card } };
  return (await loadStatistics(place, digests)).statistics;
}

/** The context templates where they are stored. */
export function plannedContexts(store: ObjectStore, plan: RoundPlan): Promise<readonly string[] | undefined> {
  const { modelId, modelDigest, settings } = plan;
  const { contextTokens, seed }: Hyperparameters = settings;
  return storedContexts({ store, modelId, modelDigest, contextTokens, seed });
}

/** The content keys of these edits' values. @param base manifest of the version that the round stands on */
export function valueKeysOf(
  plan: Pick<RoundPlan, 'modelDigest' | 'settings' | 'statistics'>,
  base: Pick<Manifest, 'segments'> | undefined,
  contexts: readonly string[],
  edits: readonly Edit[],
): string[] {
  const { modelDigest, settings } = plan;
  const segments = (base?.segments ?? []).map(({ sha256 }) => sha256);
  const statistics = plan.statistics.map(({ digest }) => digest);
  const inputs: ValueInputs = { modelDigest, segments, settings, statistics, contexts };
  return edits.map((edit) => valueKeyOf(inputs, edit));
}

/** @file Reads and checks what a task's command line and plan name. */
import { DigestMismatchError, InvalidInputError } from '../../errors.js';
import type { ObjectStore } from '../../registry/index.js';
import type { RoundPlan } from '../../rounds/index.js';
import { requireDevice } from '../../runtime/index.js';
import { loadVersionHooks, type VersionHooks } from '../../serving/index.js';
import { loadStatistics } from '../../statistics/index.js';
import type { TaskInput } from '../contract.js';
import { readPlanByKey } from '../plan/own-plan.js';
import type { PlannedRound } from '../plan/round-files.js';
import { readRegistration } from '../registration.js';
import type { TaskDependencies } from './task-dependencies.js';

/**
 * Reads a plan, and the registration of its model.
 *
 * @throws {InvalidInputError} if the plan is not under its own key
 * @throws {DigestMismatchError} if the model was registered anew as another one since the plan was made
 */
export async function readPlannedRound(
  { planKey }: Pick<TaskInput, 'planKey'>,
  { store }: { readonly store: ObjectStore },
): Promise<PlannedRound> {
  const plan = await readPlanByKey(store, planKey);
  const registration = await readRegistration(store, plan.modelId);
  requireModel(`model of ${planKey}`, registration.modelDigest, plan.modelDigest);
  return { plan, registration };
}

/** The version that the round stands on; undefined before the first one. */
export async function readBase(
  { store, device: choice }: Pick<TaskDependencies, 'store' | 'device'>,
  plan: RoundPlan,
): Promise<VersionHooks | undefined> {
  if (plan.base === null) return undefined;
  const { version } = plan.base;
  const base = await loadVersionHooks(store, plan.modelId, version, { device: await requireDevice(choice) });
  requireModel(`model of version ${version} of ${plan.modelId}`, plan.modelDigest, base.manifest.modelDigest);
  return base;
}

function requireModel(what: string, expected: string, actual: string): void {
  if (actual !== expected) throw new DigestMismatchError(what, expected, actual);
}

/** The items of one shard. @throws {InvalidInputError} if there is no such shard */
export function itemsOfShard<T>(shards: readonly (readonly T[])[], shard: number): readonly T[] {
  requireShard(shard, shards.length);
  return shards[shard];
}

/** @throws {InvalidInputError} if there is no such shard */
export function requireShard(shard: number, shards: number): void {
  if (shard < shards) return;
  throw new InvalidInputError('--shard', `one of the plan's ${shards}, counted from 0`, String(shard));
}

/** The statistics that the plan names. @throws {InvalidInputError | DigestMismatchError} if they are missing or damaged */
export async function readStatistics(store: ObjectStore, { plan, registration }: PlannedRound) {
  const digests = Object.fromEntries(plan.statistics.map(({ layer, digest }) => [layer, digest]));
  const place = { store, modelId: plan.modelId, model: { config: registration } };
  return (await loadStatistics(place, digests)).statistics;
}

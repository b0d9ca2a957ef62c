/** @file How far a dropped batch has come. */
import type { RejectedLine } from '../../evaluation/index.js';
import { batchKey, digestOf, failedPrefix, findStored, type ObjectStore, pendingPrefix } from '../../registry/index.js';
import { batchForm, rejectionsForm, rejectionsKey } from './batch-objects.js';
import { findOutcome, findUnitOutcome } from './current-round.js';
import { identityOf, type PendingUnit, unitIdentity, unitNamesBelow } from './pending-units.js';

/** How far one of a batch's units has come. */
export interface UnitState {
  readonly unit: number;
  /** `waiting`: pending or in the round in work. `failed`: quarantined until it is driven again. */
  readonly state: 'waiting' | 'published' | 'rejected' | 'failed';
  /** Null unless published. */
  readonly version: number | null;
  /** Why its round was rejected; empty if it was not. */
  readonly reason: string;
}

/** How far a batch has come. */
export interface BatchState {
  /** SHA-256 of its bytes. */
  readonly digest: string;
  readonly accepted: number;
  readonly rejected: readonly RejectedLine[];
  /** Why no edit is accepted; empty if some are. */
  readonly reason: string;
  readonly units: readonly UnitState[];
}

/** Reads how far the batch of these bytes has come; undefined if it has not been ingested. */
export async function readBatchState(
  store: ObjectStore,
  modelId: string,
  bytes: Uint8Array,
): Promise<BatchState | undefined> {
  const digest = digestOf(bytes);
  const batch = await findStored(store, batchKey(modelId, digest, 'batch.json'), batchForm);
  if (batch === undefined) return undefined;
  const rejected = (await findStored(store, rejectionsKey(modelId, digest), rejectionsForm)) ?? [];
  const failed = new Set((await unitNamesBelow(store, failedPrefix(modelId))).map(identityOf));
  const pending = new Set((await unitNamesBelow(store, pendingPrefix(modelId))).map(identityOf));
  const units: UnitState[] = [];
  for (let unit = 1; unit <= batch.units; unit++) {
    const identity = unitIdentity({ digest, unit });
    const isQuarantined = failed.has(identity) && !pending.has(identity);
    units.push(await unitState(store, modelId, { digest, unit }, isQuarantined));
  }
  return { digest, accepted: batch.accepted, rejected, reason: batch.reason, units };
}

async function unitState(
  store: ObjectStore,
  modelId: string,
  { digest, unit }: Pick<PendingUnit, 'digest' | 'unit'>,
  isQuarantined: boolean,
): Promise<UnitState> {
  const became = await findUnitOutcome(store, modelId, { digest, unit });
  if (became === undefined) return { unit, state: isQuarantined ? 'failed' : 'waiting', version: null, reason: '' };
  const { outcome, version, roundId } = became;
  if (outcome === 'published') return { unit, state: outcome, version, reason: '' };
  return { unit, state: outcome, version: null, reason: (await findOutcome(store, modelId, roundId))?.reason ?? '' };
}

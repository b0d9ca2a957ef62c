/** @file What has become of a dropped batch so far. */
import type { RejectedLine } from '../../evaluation/index.js';
import { batchKey, digestOf, failedPrefix, findStored, type ObjectStore, pendingPrefix } from '../../registry/index.js';
import { batchForm, rejectionsForm, rejectionsKey } from './batch-objects.js';
import { findOutcome, findUnitOutcome } from './current-round.js';
import { identityOf, unitNamesBelow } from './pending-units.js';

/** What became of one of a batch's units. */
export interface UnitState {
  readonly unit: number;
  /** `waiting`: in the queue. `failed`: set aside until it is driven again. */
  readonly state: 'waiting' | 'published' | 'rejected' | 'failed';
  /** Null unless published. */
  readonly version: number | null;
  /** Of a round that was rejected. */
  readonly reason: string;
}

/** A batch as far as it has come. */
export interface BatchState {
  /** SHA-256 of its bytes. */
  readonly digest: string;
  readonly accepted: number;
  readonly rejected: readonly RejectedLine[];
  /** Why nothing of it is taken; empty otherwise. */
  readonly reason: string;
  readonly units: readonly UnitState[];
}

/** Reads what became of the batch of these bytes; undefined if it has not been looked at. */
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
    const identity = `${digest.slice(0, 16)}-${String(unit).padStart(4, '0')}`;
    const isSetAside = failed.has(identity) && !pending.has(identity);
    units.push(await unitState(store, modelId, { digest, unit }, isSetAside));
  }
  return { digest, accepted: batch.accepted, rejected, reason: batch.reason, units };
}

async function unitState(
  store: ObjectStore,
  modelId: string,
  { digest, unit }: { readonly digest: string; readonly unit: number },
  isSetAside: boolean,
): Promise<UnitState> {
  const became = await findUnitOutcome(store, modelId, { digest, unit });
  if (became === undefined) return { unit, state: isSetAside ? 'failed' : 'waiting', version: null, reason: '' };
  const { outcome, version, roundId } = became;
  if (outcome === 'published') return { unit, state: outcome, version, reason: '' };
  return { unit, state: outcome, version: null, reason: (await findOutcome(store, modelId, roundId))?.reason ?? '' };
}

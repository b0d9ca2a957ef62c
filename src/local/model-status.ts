/** @file The status of a store's models. */

import { failedPrefix, latest, leaseHolder, type ObjectStore } from '../registry/index.js';
import { findCurrentRound, type InboxEntry, pendingNames, readInbox, unitNamesBelow } from '../workflow/index.js';
import { isExecutionRunning } from './execution-history.js';

/** The status of a registered model. */
export interface ModelStatus {
  readonly modelId: string;
  /** Null before the first version. */
  readonly latest: number | null;
  /** Objects in the inbox that were not ingested yet. */
  readonly waiting: number;
  /** What lies in the inbox and is not ingested, and why. */
  readonly held: readonly Pick<InboxEntry, 'key' | 'state' | 'reason'>[];
  /** Units that wait for a round. */
  readonly pending: number;
  /** Quarantined units. */
  readonly failed: number;
  /** The round under way; null between rounds. */
  readonly roundId: string | null;
  /** The running execution that holds the model; null for none. */
  readonly heldBy: string | null;
}

export async function readModelStatus(store: ObjectStore, modelId: string): Promise<ModelStatus> {
  const holder = await leaseHolder(store, modelId);
  const inbox = await readInbox(store, modelId);
  const held = inbox.filter(({ state }) => state !== 'waiting' && state !== 'growing');
  return {
    modelId,
    latest: (await latest(store, modelId))?.version ?? null,
    waiting: inbox.length - held.length,
    held: held.map(({ key, state, reason }) => ({ key, state, reason })),
    pending: (await pendingNames(store, modelId)).length,
    failed: (await unitNamesBelow(store, failedPrefix(modelId))).length,
    roundId: (await findCurrentRound(store, modelId))?.roundId ?? null,
    heldBy: holder !== undefined && (await isExecutionRunning(store, holder)) ? holder : null,
  };
}

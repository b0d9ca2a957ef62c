/** @file The objects in a model's inbox, and which of them were refused. */
import { z } from 'zod';
import {
  type Arrival,
  batchKey,
  contentKey,
  findStored,
  incomingPrefix,
  isPassedOver,
  type ObjectStore,
  storeOnce,
} from '../../registry/index.js';

const refusalForm = {
  what: 'the refusal of a dropped object',
  schema: z.strictObject({ objectKey: z.string(), etag: z.string(), reason: z.string() }),
};

/** A dropped object in its present state. */
export type DroppedObject = Pick<Arrival, 'key' | 'stamp'>;

/** Stores why an object stays in the inbox. It is not read again unless it is replaced. */
export async function refuse(
  store: ObjectStore,
  modelId: string,
  dropped: DroppedObject,
  reason: string,
): Promise<void> {
  const refusal = { objectKey: dropped.key, etag: dropped.stamp, reason };
  await storeOnce(store, refusalKeyOf(modelId, dropped), refusalForm, refusal);
}

/** Why the object was refused, if it was. */
export async function refusalOf(
  store: ObjectStore,
  modelId: string,
  dropped: DroppedObject,
): Promise<string | undefined> {
  return (await findStored(store, refusalKeyOf(modelId, dropped), refusalForm))?.reason;
}

const refusalKeyOf = (modelId: string, { key: objectKey, stamp: etag }: DroppedObject): string =>
  batchKey(modelId, contentKey({ objectKey, etag }), 'refusal.json');

/**
 * Where an object in an inbox stands. `waiting`: it is ingested next. `growing`: it may still be being written. `refused`: it
 * stays until it is replaced. `unreadable`: it is looked at again until it can be read. `passed over`: it is none to ingest.
 */
export type InboxState = 'waiting' | 'growing' | 'refused' | 'unreadable' | 'passed over';

/** An object in an inbox. */
export interface InboxEntry extends Arrival {
  readonly state: InboxState;
  /** Why it does not wait; empty if it does. */
  readonly reason: string;
}

/** What lies in a model's inbox, in the order of its arrival. */
export async function readInbox(store: ObjectStore, modelId: string): Promise<readonly InboxEntry[]> {
  const entries: InboxEntry[] = [];
  for await (const entry of inboxEntries(store, modelId)) entries.push(entry);
  return entries;
}

/** Whether anything of these states lies in a model's inbox. */
export async function isAnyIn(store: ObjectStore, modelId: string, ...states: readonly InboxState[]): Promise<boolean> {
  for await (const { state } of inboxEntries(store, modelId)) if (states.includes(state)) return true;
  return false;
}

/** What lies in a model's inbox, one after the other as {@link readInbox}. */
export async function* inboxEntries(store: ObjectStore, modelId: string): AsyncGenerator<InboxEntry> {
  for (const arrival of await store.arrivals(incomingPrefix(modelId))) {
    const seen = stateOf(arrival);
    const refusal = seen.state === 'waiting' ? await refusalOf(store, modelId, arrival) : undefined;
    yield { ...arrival, ...(refusal === undefined ? seen : { state: 'refused', reason: refusal }) };
  }
}

/** The state of an object, as far as it can be seen without looking for a refusal. */
export function stateOf({ key, problem, isGrowing, sizeBytes }: Arrival): Pick<InboxEntry, 'state' | 'reason'> {
  if (isPassedOver(key)) return { state: 'passed over', reason: 'a hidden or temporary name' };
  if (problem !== undefined) return { state: 'unreadable', reason: problem };
  // Browsers make an empty file first, and move what they have loaded over it.
  if (sizeBytes === 0) return { state: 'passed over', reason: 'empty' };
  return isGrowing ? { state: 'growing', reason: 'it may still be being written' } : { state: 'waiting', reason: '' };
}

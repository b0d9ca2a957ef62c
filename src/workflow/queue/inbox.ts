/** @file The objects in a model's inbox, and which of them were refused. */
import { z } from 'zod';
import { batchKey, contentKey, findStored, incomingPrefix, type ObjectStore, storeOnce } from '../../registry/index.js';

const refusalForm = {
  what: 'the refusal of a dropped object',
  schema: z.strictObject({ objectKey: z.string(), etag: z.string(), reason: z.string() }),
};

/** A dropped object in its present state. */
export interface DroppedObject {
  readonly modelId: string;
  readonly objectKey: string;
  readonly etag: string;
}

/** Stores why an object stays in the inbox. It is not read again unless it is replaced. */
export async function refuse(store: ObjectStore, dropped: DroppedObject, reason: string): Promise<void> {
  const { objectKey, etag } = dropped;
  await storeOnce(store, refusalKeyOf(dropped), refusalForm, { objectKey, etag, reason });
}

/** Why the object was refused, if it was. */
export async function refusalOf(store: ObjectStore, dropped: DroppedObject): Promise<string | undefined> {
  return (await findStored(store, refusalKeyOf(dropped), refusalForm))?.reason;
}

const refusalKeyOf = ({ modelId, objectKey, etag }: DroppedObject): string =>
  batchKey(modelId, contentKey({ objectKey, etag }), 'refusal.json');

/** Keys of the objects that wait in the inbox, in their order, without refused ones. */
export async function waitingKeys(store: ObjectStore, modelId: string): Promise<string[]> {
  const waiting: string[] = [];
  for (const objectKey of await store.list(incomingPrefix(modelId))) {
    const head = await store.head(objectKey);
    if (head === undefined) continue;
    const refusal = await refusalOf(store, { modelId, objectKey, etag: head.etag });
    if (refusal === undefined) waiting.push(objectKey);
  }
  return waiting;
}

/** @file Executions of a model that failed, one after the other, before they had a round. */
import { z } from 'zod';
import { checkObjectKey, modelPrefix, type ObjectStore, storeOnce } from '../../registry/index.js';

const stallForm = { what: 'a failed start', schema: z.strictObject({ executionName: z.string() }) };

const stallsPrefix = (modelId: string): string => `${modelPrefix(modelId)}stalls/`;

/** So many executions in a row start the next one although they failed. */
const maxStalls = 3;

/** Counts an execution, once. */
export async function countStall(store: ObjectStore, modelId: string, executionName: string): Promise<void> {
  const key = checkObjectKey(`${stallsPrefix(modelId)}${executionName}.json`);
  await storeOnce(store, key, stallForm, { executionName });
}

/** An execution got further. */
export async function forgetStalls(store: ObjectStore, modelId: string): Promise<void> {
  for (const key of await store.list(stallsPrefix(modelId))) await store.delete(key);
}

/** Whether the next execution is for a schedule, or a person, to start. */
export async function isStalled(store: ObjectStore, modelId: string): Promise<boolean> {
  return (await store.list(stallsPrefix(modelId))).length >= maxStalls;
}

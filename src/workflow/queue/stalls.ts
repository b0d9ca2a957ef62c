/** @file Counts the executions of a model that failed in a row before they had a round. */
import { z } from 'zod';
import { checkObjectKey, modelPrefix, type ObjectStore, storeOnce } from '../../registry/index.js';

const stallForm = { what: 'a failed start', schema: z.strictObject({ executionName: z.string() }) };

const stallsPrefix = (modelId: string): string => `${modelPrefix(modelId)}stalls/`;

/** After so many failures in a row, an execution does not start the next one. */
const maxStalls = 3;

/** Counts a failed execution, each once. */
export async function countStall(store: ObjectStore, modelId: string, executionName: string): Promise<void> {
  const key = checkObjectKey(`${stallsPrefix(modelId)}${executionName}.json`);
  await storeOnce(store, key, stallForm, { executionName });
}

/** Begins to count anew, because an execution got further. */
export async function forgetStalls(store: ObjectStore, modelId: string): Promise<void> {
  for (const key of await store.list(stallsPrefix(modelId))) await store.delete(key);
}

/** Whether only a schedule or a person should start the next execution. */
export async function isStalled(store: ObjectStore, modelId: string): Promise<boolean> {
  return (await store.list(stallsPrefix(modelId))).length >= maxStalls;
}

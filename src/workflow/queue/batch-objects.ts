/** @file What is kept of one dropped batch: `models/<modelId>/batches/<digest>/`. */
import { z } from 'zod';
import { batchKey, type ObjectStore, readStored } from '../../registry/index.js';
import { rejectedLineSchema } from '../../rounds/index.js';

const count = z.int().nonnegative();

/** What a batch came to: written before its units, so that whoever goes on cuts them the same way. */
export const batchForm = {
  what: 'a dropped batch',
  schema: z.strictObject({
    schemaVersion: z.literal(1),
    objectKey: z.string(),
    receivedAt: z.iso.datetime(),
    executionId: z.string(),
    /** Edits that are taken. */
    accepted: count,
    rejected: count,
    units: count,
    /** Most edits of a unit. */
    roundSize: z.int().positive(),
    /** Highest version number at that time. */
    newestVersion: count,
    /** Why nothing is taken; empty otherwise. */
    reason: z.string(),
  }),
};
export type Batch = z.infer<typeof batchForm.schema>;

/** Written last: everything else of the batch is there. */
export const receiptForm = {
  what: 'the receipt of a batch',
  schema: z.strictObject({ schemaVersion: z.literal(1), executionId: z.string(), at: z.iso.datetime() }),
};

export const rejectionsForm = { what: 'the rejected lines of a batch', schema: z.array(rejectedLineSchema) };

/** Key of the rejected lines with their reasons. */
export const rejectionsKey = (modelId: string, digest: string): string => batchKey(modelId, digest, 'rejections.json');

/** Lines of a batch that were rejected. */
export const readRejections = (store: ObjectStore, modelId: string, digest: string) =>
  readStored(store, rejectionsKey(modelId, digest), rejectionsForm);

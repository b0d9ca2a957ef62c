/** @file The objects of one dropped batch: `models/<modelId>/batches/<digest>/`. */
import { z } from 'zod';
import { batchKey, type ObjectStore, readStored } from '../../registry/index.js';
import { rejectedLineSchema } from '../../rounds/index.js';

const count = z.int().nonnegative();

/** What was read of a batch. It is stored before the units, so that an execution that goes on cuts the same units. */
export const batchForm = {
  what: 'a dropped batch',
  schema: z.strictObject({
    schemaVersion: z.literal(1),
    objectKey: z.string(),
    receivedAt: z.iso.datetime(),
    executionId: z.string(),
    /** How many edits are accepted. */
    accepted: count,
    rejected: count,
    units: count,
    /** Most edits of a unit. */
    roundSize: z.int().positive(),
    /** Whether edits that the model cannot take were rejected; left out by release 0.1, which did not look. */
    isChecked: z.literal(true).exactOptional(),
    /** Highest version number at that time. */
    newestVersion: count,
    /** Why no edit is accepted; empty if some are. */
    reason: z.string(),
  }),
};
export type Batch = z.infer<typeof batchForm.schema>;

/** Stored last: where it is, everything else of the batch is stored too. */
export const receiptForm = {
  what: 'the receipt of a batch',
  schema: z.strictObject({ schemaVersion: z.literal(1), executionId: z.string(), at: z.iso.datetime() }),
};

export const rejectionsForm = { what: 'the rejected lines of a batch', schema: z.array(rejectedLineSchema) };

/** Key of the rejected lines with their reasons. */
export const rejectionsKey = (modelId: string, digest: string): string => batchKey(modelId, digest, 'rejections.json');

/** The rejected lines of a batch. */
export const readRejections = (store: ObjectStore, modelId: string, digest: string) =>
  readStored(store, rejectionsKey(modelId, digest), rejectionsForm);

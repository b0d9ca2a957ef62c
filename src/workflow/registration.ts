/** @file The registration of a model, which the workflow works from: `models/<modelId>/model.json`. */
import { z } from 'zod';
import { storedHyperparametersSchema } from '../editing/index.js';
import { InvalidInputError } from '../errors.js';
import { findStored, type ObjectStore, registrationKey, withTodaysNames } from '../registry/index.js';
import { publishCriteriaSchema } from '../rounds/index.js';

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const positive = z.int().positive();

/** Where a container finds the model's files. */
const modelSourceSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('directory'), path: z.string().min(1) }),
  z.strictObject({
    kind: z.literal('store'),
    files: z.array(z.strictObject({ name: z.string().min(1), key: z.string().min(1), sizeBytes: positive, sha256 })),
  }),
]);

const textSchema = z.strictObject({ key: z.string().min(1), sha256 });

export const registrationSchema = z.strictObject({
  schemaVersion: z.literal(1),
  modelId: z.string(),
  modelDigest: sha256,
  source: modelSourceSchema,
  layerCount: positive,
  maxTokens: positive,
  /** Tokens of the vocabulary; absent in registrations of release 0.1. */
  vocab: positive.exactOptional(),
  dModel: positive,
  dInner: positive,
  settings: storedHyperparametersSchema,
  /** Text for key statistics; null where they are stored already. */
  corpus: textSchema.nullable(),
  /** Text on which drift is measured; null for none. */
  heldOut: textSchema.nullable(),
  statistics: z.strictObject({
    maxTokens: positive.default(200_000),
    sequenceTokens: positive.default(128),
    shards: positive.default(1),
  }),
  /** Most edits of a round. */
  roundSize: positive.default(100),
  /** Most edits of a container task that searches values. */
  valueShardSize: positive.default(100),
  /** Most edits of a container task that validates. */
  validationShardSize: positive.default(100),
  /** Whether pending edits of several batches may share a round. */
  coalesce: z.boolean().default(false),
  /** Whether each version's report compares the gates on its edits. */
  compareGates: z.boolean().default(false),
  criteria: publishCriteriaSchema,
});

/** A registered model. */
export type Registration = z.infer<typeof registrationSchema>;

/** A registration as it is stored. Before 0.2, the criteria were called thresholds, and `maxRepeats` in them `maxDrops`. */
export const storedRegistrationSchema: z.ZodType<Registration> = z.preprocess((value) => {
  const stored = withTodaysNames(value, { thresholds: 'criteria' });
  if (typeof stored !== 'object' || stored === null || !('criteria' in stored)) return stored;
  return { ...stored, criteria: withTodaysNames(stored.criteria, { maxDrops: 'maxRepeats' }) };
}, registrationSchema);

/** The ids of all registered models, in their order. */
export async function registeredModels(store: ObjectStore): Promise<string[]> {
  const keys = await store.list('models/');
  return keys.flatMap((key) => /^models\/([^/]+)\/model\.json$/.exec(key)?.[1] ?? []);
}

/** The registration of a model; undefined where it has none. @throws {MalformedFileError} */
export const findRegistration = (store: ObjectStore, modelId: string): Promise<Registration | undefined> =>
  findStored(store, registrationKey(modelId), { schema: storedRegistrationSchema, what: 'a registration' });

/** @throws {InvalidInputError} if the model is not registered @throws {MalformedFileError} */
export async function readRegistration(store: ObjectStore, modelId: string): Promise<Registration> {
  const registration = await findRegistration(store, modelId);
  if (registration !== undefined) return registration;
  throw new InvalidInputError(`model ${modelId}`, 'a registered model', 'none of this name');
}

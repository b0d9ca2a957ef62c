/** @file What the workflow must know of a model without opening it: `models/<modelId>/model.json`. */
import { z } from 'zod';
import { storedHyperparametersSchema } from '../editing/index.js';

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const positive = z.int().positive();
const share = z.number().min(0).max(1);

/** Where a container finds the model's files. */
const modelSourceSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('directory'), path: z.string().min(1) }),
  z.strictObject({
    kind: z.literal('store'),
    files: z.array(z.strictObject({ name: z.string().min(1), key: z.string().min(1), sizeBytes: positive, sha256 })),
  }),
]);

const textSchema = z.strictObject({ key: z.string().min(1), sha256 });

/** When a round may be published. */
export const gateThresholdsSchema = z.strictObject({
  /** Least mean reliability of the round's edits. */
  minReliability: share.default(0.9),
  /** Least mean locality of the round's edits. */
  minLocality: share.default(0.9),
  /** Least reliability of the sampled edits of earlier rounds. */
  minRetention: share.default(0.9),
  /** Greatest ratio of the perplexities of held-out text, edited over base. */
  maxPerplexityRatio: z.number().positive().default(1.05),
  /** An edit below this reliability is an offender. */
  editReliability: share.default(1),
  /** An edit below this mean locality is an offender. */
  editLocality: share.default(0.5),
  /** How often offenders are dropped and the rest is solved again. */
  maxDrops: z.int().nonnegative().default(2),
  /** Least share of a round's edits that must be left. */
  minKeptShare: share.default(0.5),
});
export type GateThresholds = z.infer<typeof gateThresholdsSchema>;

export const modelCardSchema = z.strictObject({
  schemaVersion: z.literal(1),
  modelId: z.string(),
  modelDigest: sha256,
  source: modelSourceSchema,
  layerCount: positive,
  maxTokens: positive,
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
  /** Most edits of a container task that optimises values. */
  valueShardSize: positive.default(100),
  /** Most edits of a container task that validates. */
  validationShardSize: positive.default(100),
  /** Whether pending edits of several batches may share a round. */
  coalesce: z.boolean().default(false),
  /** Whether each version's report compares the gates on its edits. */
  compareGates: z.boolean().default(true),
  thresholds: gateThresholdsSchema,
});

/** A registered model. */
export type ModelCard = z.infer<typeof modelCardSchema>;

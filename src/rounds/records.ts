/** @file The objects in which the stages of a round store their work for the next stage. Each is written once. */
import { z } from 'zod';
import { storedHyperparametersSchema } from '../editing/index.js';
import type { Drift, EditMeasurement, GateRow, GateSeparation, LiveAnswer } from '../evaluation/index.js';
import { withTodaysNames } from '../registry/index.js';
import { publishCriteriaSchema } from './criteria.js';

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const count = z.int().nonnegative();

const storedEditSchema = z.strictObject({
  id: z.string(),
  subject: z.string(),
  aliases: z.array(z.string()),
  prompt: z.string(),
  targetNew: z.string(),
  targetTrue: z.string().exactOptional(),
  paraphrases: z.array(z.string()),
  testParaphrases: z.array(z.string()),
  neighborhood: z.array(z.string()),
  keep: z.array(z.string()),
  portability: z.array(z.strictObject({ prompt: z.string(), target: z.string() })),
});

/**
 * An edit as stages store it. Before 0.2, paraphrases only measured: what was called `paraphrases` is now `testParaphrases`.
 * Nor were there aliases and questions that follow.
 */
export const editSchema = z.preprocess((value) => {
  if (typeof value !== 'object' || value === null || 'testParaphrases' in value) return value;
  const named = Object(withTodaysNames(value, { paraphrases: 'testParaphrases' }));
  return { aliases: [], portability: [], ...named, paraphrases: [] };
}, storedEditSchema);

/** A fact of an earlier version about a subject of the round: it is said by the subject's one value from now on. */
export const earlierFactSchema = z.strictObject({
  /** The version that wrote it. */
  version: z.int().positive(),
  /** The memory that says it now. */
  memory: z.string(),
  edit: editSchema,
  /** Whether its version says it; left out where that is not known. */
  said: z.boolean().exactOptional(),
});
export type EarlierFact = z.infer<typeof earlierFactSchema>;

/** A line of a batch that was rejected. */
export const rejectedLineSchema = z.strictObject({ lineNumber: z.int(), reason: z.string(), excerpt: z.string() });

/**
 * Edits of a plan that are not written, each with the reason: because they cannot be, or because they failed a criterion.
 * `attempt-<n>/excluded.json` holds those from before a solve.
 */
export const rejectedEditsSchema = z.array(z.strictObject({ id: z.string(), reason: z.string() }));
export type RejectedEdits = z.infer<typeof rejectedEditsSchema>;

/** Everything that the stages of a round need to know: `rounds/<roundId>/<planId>/plan.json`. */
export const roundPlanSchema = z.strictObject({
  schemaVersion: z.literal(1),
  modelId: z.string(),
  roundId: z.string(),
  /** The latest version, which the round is computed on; null before the first one. */
  base: z.strictObject({ version: z.int().positive(), etag: z.string() }).nullable(),
  modelDigest: sha256,
  settings: storedHyperparametersSchema,
  /** Content key of each hooked layer's statistics, in the order of `settings.layers`. */
  statistics: z.array(z.strictObject({ layer: count, digest: sha256 })),
  /** Into how many shards the corpus is cut for computing them. */
  statisticsShards: z.int().positive(),
  edits: z.array(editSchema).min(1),
  /** Active facts of the base about the round's subjects; left out if there are none. */
  earlier: z.array(earlierFactSchema).exactOptional(),
  /** The active edits of the base that this round overwrites, each with the edit that overwrites it. */
  overwrites: z.array(z.strictObject({ newId: z.string(), oldId: z.string() })),
  /** Edits that are written under another id than their batch gave them; left out if there are none. */
  renamed: z.array(z.strictObject({ from: z.string(), to: z.string() })).exactOptional(),
  /** Edits that contradict or repeat others of the round and are not written; left out if there are none. */
  refused: rejectedEditsSchema.exactOptional(),
  /** Lines that were rejected in the batches of this round. */
  rejected: z.array(rejectedLineSchema),
  /** Indices of the edits of each container task; all edits of one subject are in one shard of `valueShards`. */
  valueShards: z.array(z.array(count)),
  validationShards: z.array(z.array(count)),
  heldOut: z.strictObject({ key: z.string(), sha256 }).nullable(),
  /** Whether validation also measures the other kinds of gate on the same edits, for the report. */
  compareGates: z.boolean(),
});
export type RoundPlan = z.infer<typeof roundPlanSchema>;

const share = z.number().nullable();
const beforeAndAfter = { before: share, after: share };

/** See `FactorOrigin`. */
export const solverSchema = z.strictObject({ solver: z.enum(['onnx', 'tensorflow']), reason: z.string() });

/** What a revocation did to the revoked edits, and to the kept ones. */
const revocationSchema = z.object({
  /** How many were revoked. */
  edits: z.number(),
  reliability: z.object(beforeAndAfter),
  generality: z.object(beforeAndAfter),
  /** Share of the most probable tokens on their prompts that are now those of the base model. */
  baseAgreement: share,
  /** The kept edits by metric: `fallen` counts those that are worse than before, `largestFall` is that of the worst one. */
  others: z.record(z.string(), z.object({ ...beforeAndAfter, fallen: z.number(), largestFall: z.number() })),
  /** Whether it was published although kept edits fell by more than was tolerated. */
  forced: z.boolean(),
});

/** Two edits with different targets, of which one's prompt opens the other's gate; see `rivalsOf`. */
const rivalSchema = z.strictObject({ id: z.string(), otherId: z.string(), similarity: z.number() });
export type Rival = z.infer<typeof rivalSchema>;

/**
 * The metrics in a manifest: what was measured of one round, and how long it took. A revocation writes no edits; its metrics
 * are measured on all edits that stay active.
 */
const todaysMetricsSchema = z.object({
  /** How many edits were measured. */
  measured: z.number(),
  reliability: share,
  generality: share,
  /** Left out by earlier releases, which did not measure it. */
  portability: share.exactOptional(),
  locality: share,
  sameSubjectLocality: share,
  efficacySuccess: share,
  paraphraseSuccess: share,
  neighborhoodSuccess: share,
  score: share,
  retention: share,
  /** Share of the edits that greedy decoding says, by their own prompts. */
  said: share,
  /** Share of the edits whose target is said in chat, of those that were asked there; left out by earlier releases. */
  inChat: share.exactOptional(),
  perplexityRatio: share,
  klToBase: share,
  swapRate: share,
  writtenShareMedian: share,
  secondsForValues: z.number(),
  secondsForSolve: z.number(),
  /** Which solver factored the key statistics of each layer, and why; left out where that is not known. */
  solvers: z.record(z.string(), solverSchema).exactOptional(),
  /** The most similar pairs of a new edit and another active one that say different things; left out without any. */
  rivals: z.array(rivalSchema).exactOptional(),
  revocation: revocationSchema.exactOptional(),
});

/** Metrics as they are stored. Before 0.2, `measured` was called `edits`, and `said` `liveExactMatch`. */
export const versionMetricsSchema = z.preprocess(
  (value) => withTodaysNames(value, { edits: 'measured', liveExactMatch: 'said' }),
  todaysMetricsSchema,
);
export type VersionMetrics = z.infer<typeof versionMetricsSchema>;

const nullableNumber = z.number().nullable();

/** A memory of a segment: the facts that its rows say. */
const memorySchema = z.strictObject({
  id: z.string(),
  /** Ids of the round's edits in it. */
  editIds: z.array(z.string()),
  /** Facts of earlier versions in it. */
  earlier: z.array(z.strictObject({ version: z.int().positive(), id: z.string() })),
});
export type Memory = z.infer<typeof memorySchema>;

const storedSolveSchema = z.strictObject({
  schemaVersion: z.literal(1),
  /** Ids of the edits that were written, in the plan's order. */
  editIds: z.array(z.string()),
  /** What the segment's rows say. */
  memories: z.array(memorySchema),
  /** Edits that could not be written; left out if there are none. */
  refused: rejectedEditsSchema.exactOptional(),
  segmentSha256: sha256,
  segmentSizeBytes: count,
  /** The written share of each edit, by layer. */
  writtenShare: z.array(z.array(z.number())),
  /** Steps of the value search of each edit's subject; `valueLosses` holds the last loss of each. */
  valueSteps: z.array(count),
  valueLosses: z.array(z.number()),
  secondsForValues: z.number(),
  secondsForSolve: z.number(),
  solvers: z.record(z.string(), solverSchema).exactOptional(),
  rivals: z.array(rivalSchema).exactOptional(),
  layers: z.array(
    z.strictObject({ layer: count, edits: count, relativeChange: z.number(), writtenShareMedian: nullableNumber }),
  ),
  thresholds: z.record(z.string(), z.strictObject({ smallestSimilarity: nullableNumber, sequence: z.number() })),
});

/**
 * What is recorded of a solve beside its segment: `attempt-<n>/solve.json`. Before 0.2 every edit had one row, under its own id,
 * and no memories were recorded.
 */
export const solveRecordSchema = z.preprocess((value) => {
  if (typeof value !== 'object' || value === null || 'memories' in value) return value;
  const { editIds } = value as { readonly editIds?: unknown };
  if (!Array.isArray(editIds)) return value;
  return { ...value, memories: editIds.map((id: unknown) => ({ id, editIds: [id], earlier: [] })) };
}, storedSolveSchema);
export type SolveRecord = z.infer<typeof solveRecordSchema>;

const firingSchema = z.strictObject({
  layer: count,
  tokenIndex: count,
  editIndex: z.int(),
  strength: z.number(),
});

const measurementSchema = z.strictObject({
  id: z.string(),
  reliability: z.number(),
  generality: z.array(z.number()),
  portability: z.array(z.number()).default([]),
  locality: z.array(z.number()),
  sameSubjectLocality: z.array(z.number()),
  efficacy: z.boolean().exactOptional(),
  paraphraseSuccess: z.array(z.boolean()),
  neighborhoodSuccess: z.array(z.boolean()),
  nll: nullableNumber,
  firing: firingSchema.exactOptional(),
  leftOut: z.array(z.string()).exactOptional(),
  unmeasured: z.string().exactOptional(),
});

/** Before 0.2, `said` was called `exactMatch`, and nothing was asked in chat. */
const answerSchema = z.preprocess(
  (value) => withTodaysNames(value, { exactMatch: 'said' }),
  z.strictObject({
    id: z.string(),
    text: z.string(),
    said: z.boolean(),
    chat: z.strictObject({ text: z.string(), hasTarget: z.boolean() }).exactOptional(),
  }),
);

/**
 * What one validation task measured on its edits: `attempt-<n>/validation-<shard>.json`. The task of shard 0 also measures
 * drift, retention and the other kinds of gate.
 */
export const validationRecordSchema = z.strictObject({
  schemaVersion: z.literal(1),
  measurements: z.array(measurementSchema),
  /** Id of the edit that fired on each edit's prompt; null for none. */
  firedBy: z.array(z.string().nullable()),
  before: z.array(answerSchema),
  answers: z.array(answerSchema),
  /** Null in other shards than 0, and without held-out text. */
  drift: z
    .strictObject({
      perplexityRatio: z.number(),
      basePerplexity: z.number(),
      klToBase: z.number(),
      swapRate: z.number(),
      tokens: count,
    })
    .nullable(),
  retention: nullableNumber,
  /** The earlier facts that this round's memories say too; empty in other shards than 0. */
  companions: z
    .array(
      z.strictObject({
        version: z.int().positive(),
        id: z.string(),
        reliability: z.number(),
        answer: answerSchema.exactOptional(),
      }),
    )
    .default([]),
  /** The gate's signal on this shard's prompts, for the histogram; null for gates that compare no keys. */
  separation: z
    .strictObject({
      edit: z.array(z.number()),
      paraphrase: z.array(z.number()),
      neighborhood: z.array(z.number()),
      text: z.array(z.number()),
      threshold: z.number(),
    })
    .nullable(),
  /** The same weights behind each kind of gate; empty in other shards than 0, and unless the plan asks for it. */
  gates: z.array(
    z.strictObject({
      gate: z.enum(['key', 'nearest', 'sequence', 'none']),
      reliability: nullableNumber,
      generality: nullableNumber,
      locality: nullableNumber,
      sameSubjectLocality: nullableNumber,
      perplexityRatio: nullableNumber,
    }),
  ),
});
export type ValidationRecord = z.infer<typeof validationRecordSchema>;

/** What the criteria decided: `attempt-<n>/decision.json`. The edits that failed are stored as `offenders`. */
export const judgementSchema = z.strictObject({
  decision: z.enum(['publish', 'repeat', 'reject']),
  reason: z.string(),
  offenders: rejectedEditsSchema,
  /** What it was decided by; null where nothing was to decide. Left out by earlier releases. */
  criteria: publishCriteriaSchema.nullable().exactOptional(),
});
export type Judgement = z.infer<typeof judgementSchema>;

const endedRoundSchema = z.strictObject({
  outcome: z.enum(['published', 'rejected']),
  /** 0 where nothing was published. */
  version: count,
  executionId: z.string(),
  at: z.iso.datetime(),
  reason: z.string(),
  edits: count,
  /** Edits that the criteria rejected. */
  rejected: count,
});

/** How a round ended: `rounds/<roundId>/outcome.json`. Before 0.2, `rejected` was called `dropped`. */
export const roundOutcomeSchema = z.preprocess(
  (value) => withTodaysNames(value, { dropped: 'rejected' }),
  endedRoundSchema,
);
export type RoundOutcomeRecord = z.infer<typeof endedRoundSchema>;

/** What of a solve's record the report and the metrics use. */
export type SolvedRound = Pick<
  SolveRecord,
  | 'writtenShare'
  | 'valueSteps'
  | 'valueLosses'
  | 'secondsForValues'
  | 'secondsForSolve'
  | 'layers'
  | 'solvers'
  | 'rivals'
>;

/** What was measured of a round. A list holds one item for each edit, if not said otherwise. */
export interface RoundMeasures {
  readonly measurements: readonly EditMeasurement[];
  /** Id of the edit that fired on each edit's prompt; null for none. */
  readonly firedBy: readonly (string | null)[];
  /** Greedy text of the base model after each edit's prompt. */
  readonly before: readonly LiveAnswer[];
  readonly answers: readonly LiveAnswer[];
  /** Null without held-out text. */
  readonly drift: Drift | null;
  readonly retention: number | null;
  /** The earlier facts that the round's memories say too. */
  readonly companions: ValidationRecord['companions'];
  /** Null for gates that compare no keys. */
  readonly separation: GateSeparation | null;
  /** One row for each kind of gate; empty where they were not compared. */
  readonly gates: readonly GateRow[];
}

/**
 * @file The contract between the workflow's stages: their names, payloads and environment variables. Payloads are keys and
 * counts, never data. Infrastructure code reads this file too, so it imports nothing of Node and computes nothing.
 */
import { z } from 'zod';

/** Stages that run as functions: they are short and open no model. */
export const functionStages = ['ingest', 'lease', 'plan', 'judge', 'publish', 'collect', 'notify'] as const;
export type FunctionStage = (typeof functionStages)[number];

/** Stages that run as container tasks: they may open the model. */
export const taskStages = ['statistics', 'merge', 'values', 'solve', 'validate'] as const;
export type TaskStage = (typeof taskStages)[number];

/** Environment variables of functions and container tasks. */
export const environmentNames = {
  /** Location of the object store: `s3://bucket[/prefix]` or a folder. */
  store: 'HOOKLINE_STORE',
  /** Folder in which a container keeps model files between tasks. */
  cache: 'HOOKLINE_CACHE',
  /** `auto`, `cpu`, `cuda` or `webgpu`. */
  device: 'HOOKLINE_DEVICE',
  /** `auto`, `onnx` or `tensorflow`: what factors the key statistics. */
  solver: 'HOOKLINE_SOLVER',
  /** Folder whose `node_modules` hold TensorFlow for Node.js. */
  tensorflow: 'HOOKLINE_TFJS',
  /** Bytes that activations may take, such as `2GiB`. */
  memoryBudget: 'HOOKLINE_MEMORY_BUDGET',
  /** ARN of the state machine, for functions that start or describe executions. */
  stateMachine: 'HOOKLINE_STATE_MACHINE',
} as const;

/**
 * Exit codes of container tasks. A task that ends with 64 is never retried. With 75 it says that its machine lacks something
 * for now.
 */
export const exitCodes = { done: 0, retry: 1, permanent: 64, machine: 75 } as const;

const count = z.int().nonnegative();
const modelId = z.string();
const executionId = z.string().min(1);

/** Why an execution was started. */
export const triggers = ['drop', 'schedule', 'next', 'run'] as const;

/**
 * Input of an execution; `ingest` gets it with the execution's id. An object key names the last object to ingest. Without it,
 * everything in the model's inbox is ingested.
 */
export const executionInputSchema = z.strictObject({
  trigger: z.enum(triggers),
  /** `incoming/<modelId>/<name>`, or empty. */
  objectKey: z.string(),
  /** Empty where the object key names the model. */
  modelId,
});
export type ExecutionInput = z.infer<typeof executionInputSchema>;

/** What can become of dropped files. */
export const ingestOutcomes = ['accepted', 'rejected', 'duplicate', 'nothing'] as const;

export const payloads = {
  ingest: {
    input: executionInputSchema.extend({ executionId }),
    output: z.strictObject({
      modelId,
      /** `rejected`: no dropped line is an edit. */
      outcome: z.enum(ingestOutcomes),
      accepted: count,
      rejected: count,
      /** How many pending units were made. */
      units: count,
      /** Why dropped files were rejected, in one line; empty if none was. */
      reason: z.string(),
      /** Key of the rejected lines; empty where there are none. */
      reportKey: z.string(),
    }),
  },
  lease: {
    input: z.strictObject({ action: z.enum(['acquire', 'release']), executionId, modelId, fence: count }),
    output: z.strictObject({
      /** False if another running execution holds the model's lease. */
      acquired: z.boolean(),
      fence: count,
      /** The execution that holds the model's lease; empty once released. */
      owner: z.string(),
    }),
  },
  plan: {
    input: z.strictObject({ executionId, modelId, fence: count }),
    output: z.strictObject({
      /** False if nothing is pending. */
      hasRound: z.boolean(),
      roundId: z.string(),
      planKey: z.string(),
      edits: count,
      statisticsNeeded: z.boolean(),
      /** Indices of corpus shards; empty if the statistics are stored. */
      statisticsShards: z.array(count),
      /** Indices of edit shards of which some values are not stored. */
      valueShards: z.array(count),
      validationShards: z.array(count),
      /** Number of the first solve: 0. */
      attempt: count,
    }),
  },
  judge: {
    input: z.strictObject({ modelId, planKey: z.string(), attempt: count }),
    output: z.strictObject({
      decision: z.enum(['publish', 'repeat', 'reject']),
      /** Number of the next solve if the rest is to be solved again, or else of this one. */
      attempt: count,
      /** How many edits of the round the criteria have rejected so far. */
      rejected: count,
      reason: z.string(),
    }),
  },
  publish: {
    input: z.strictObject({
      action: z.enum(['publish', 'reject']),
      executionId,
      modelId,
      planKey: z.string(),
      attempt: count,
      reason: z.string(),
    }),
    output: z.strictObject({
      outcome: z.enum(['published', 'rejected']),
      /** 0 if nothing was published. */
      version: count,
      edits: count,
      rejected: count,
      reason: z.string(),
      /** Key of the report. */
      reportKey: z.string(),
    }),
  },
  collect: {
    /** Empty model id: every model of the store. */
    input: z.strictObject({ trigger: z.enum(triggers), modelId }),
    output: z.strictObject({ models: z.array(modelId), started: count }),
  },
  notify: {
    input: z.strictObject({
      /** How the execution ended. */
      outcome: z.enum(['PUBLISHED', 'REJECTED', 'PENDING', 'NOTHING', 'FAILED']),
      executionId,
      modelId,
      roundId: z.string(),
      version: count,
      /** Name of the stage that failed, or empty. */
      stage: z.string(),
      /** Name of the error that the state machine caught, or empty. */
      error: z.string(),
      /** Its cause, or the reason of a rejection. */
      cause: z.string(),
      /** Why dropped files were rejected; empty if none was. */
      rejectedFiles: z.string(),
    }),
    output: z.strictObject({
      outcome: z.string(),
      modelId,
      version: count,
      /** One line for people. */
      subject: z.string(),
      message: z.string(),
      /** Key of the record. */
      recordKey: z.string(),
    }),
  },
} as const satisfies Record<FunctionStage, { input: z.ZodType; output: z.ZodType }>;

export type FunctionInput<S extends FunctionStage> = z.infer<(typeof payloads)[S]['input']>;
export type FunctionOutput<S extends FunctionStage> = z.infer<(typeof payloads)[S]['output']>;

/**
 * What a container task is told on its command line: `<stage> --plan <key> --shard <index> --attempt <number>`.
 * `statistics`: shard of the corpus. `values`: shard of edits. `validate`: shard of edits. `merge` and `solve` run once.
 */
export const taskInputSchema = z.strictObject({
  stage: z.enum(taskStages),
  planKey: z.string().min(1),
  shard: count,
  attempt: count,
});
export type TaskInput = z.infer<typeof taskInputSchema>;

/** Names of errors that the state machine treats differently. */
export const errorNames = {
  /** Another version was published meanwhile: plan again on that one. */
  staleBase: 'StaleBaseError',
  /** Trying again cannot help. */
  permanent: 'PermanentError',
  /** Trying again may help. */
  transient: 'TransientError',
  /** This machine lacks something for now, such as free space on its disk. It does not count against the round. */
  machine: 'MachineError',
} as const;

/** @file The settings of a deployment, each a context key `hookline:<name>`. */
import type { Node } from 'constructs';
import { z } from 'zod';
import { checkModelId } from '../src/registry/keys.js';

const positive = z.int().positive();
const days = positive;
const hours = z.number().positive();
const minutes = z.number().positive();
/** An EventBridge Scheduler expression, such as `rate(1 hour)` or `cron(0 2 * * ? *)`. */
const schedule = z.string().regex(/^(rate|cron|at)\(.+\)$/);

/** Days that CloudWatch Logs can keep logs. */
const logRetentionDays = [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827] as const;

const vpcSchema = z.union([
  z.strictObject({
    /** 1 is cheap. With one for each zone, work goes on if a zone is lost. */
    natGateways: positive.default(1),
    zones: z.int().min(1).max(3).default(2),
  }),
  /**
   * An existing VPC by its attributes, so that synthesis needs no look-up. Its private subnets must reach S3, ECR and
   * Logs.
   */
  z.strictObject({
    vpcId: z.string().regex(/^vpc-[0-9a-f]+$/),
    availabilityZones: z.array(z.string()).min(1),
    privateSubnetIds: z.array(z.string().regex(/^subnet-[0-9a-f]+$/)).min(1),
  }),
]);

export const settingsSchema = z.strictObject({
  /** Name of the stack, the state machine and other resources. It must be unique in an account and region. */
  name: z
    .string()
    .regex(/^[a-z][a-z0-9-]{1,30}$/)
    .default('hookline'),
  /** Models with their own schedule, or whose inbox and work files expire. All other models need only a registration. */
  models: z
    .array(z.strictObject({ id: z.string().transform(checkModelId), schedule: schedule.optional() }))
    .default([]),
  /** When pending edits of all models are collected into rounds. */
  schedule: schedule.default('rate(1 hour)'),
  /** Image of all container tasks. If empty, it is built from containers/Dockerfile when the stack is deployed. */
  imageUri: z.string().default(''),
  /** Processor of the functions. */
  functionArchitecture: z.enum(['arm64', 'x86_64']).default('arm64'),
  vpc: vpcSchema.default({ natGateways: 1, zones: 2 }),
  /** x86-64 instance types with at least one NVIDIA GPU each. */
  instanceTypes: z.array(z.string()).min(1).default(['g6.xlarge', 'g6.2xlarge', 'g5.xlarge', 'g5.2xlarge']),
  /** Most vCPUs of each compute environment. With four vCPUs to a GPU instance, a quarter is the number of GPUs. */
  maxVcpus: z.strictObject({ spot: positive, onDemand: positive }).default({ spot: 32, onDemand: 16 }),
  /** Highest Spot price, in percent of the On-Demand price. */
  spotPercentage: z.int().min(1).max(100).default(100),
  /** Resources of each container task beside its GPU. They must fit the smallest instance type. */
  job: z.strictObject({ vcpus: positive, memoryMiB: positive }).default({ vcpus: 4, memoryMiB: 14_000 }),
  /** Disk of an instance: image, model files, activations that spill. */
  diskGiB: z.int().min(50).default(200),
  /** Most tasks of a stage at the same time. The model's registration decides how many there are. */
  concurrency: z
    .strictObject({ statistics: positive, values: positive, validate: positive })
    .default({ statistics: 8, values: 8, validate: 8 }),
  /** How long one attempt of a task may run. */
  attemptMinutes: z
    .strictObject({ statistics: minutes, merge: minutes, values: minutes, solve: minutes, validate: minutes })
    .default({ statistics: 240, merge: 60, values: 240, solve: 60, validate: 120 }),
  /** How long a task at the head of the queue may wait for capacity before it is cancelled: 10 minutes to 24 hours. */
  queueLimitMinutes: z.int().min(10).max(1440).default(360),
  /** Time limit of every execution. */
  executionHours: hours.default(72),
  /** Alarm thresholds. */
  alarms: z
    .strictObject({ roundHours: hours, queueWaitMinutes: minutes, taskHours: hours })
    .default({ roundHours: 12, queueWaitMinutes: 60, taskHours: 3 }),
  /** Address that gets messages about rounds and alarms, or empty. It must confirm a subscription. */
  alarmEmail: z.union([z.literal(''), z.email()]).default(''),
  logRetentionDays: z.literal(logRetentionDays).default(90),
  /** How long replaced and deleted objects can be restored. */
  noncurrentVersionDays: days.default(30),
  /** How long the work files of rounds are kept, for the models in `models`. */
  workFileDays: days.default(90),
});
export type Settings = Readonly<z.infer<typeof settingsSchema>>;

const contextPrefix = 'hookline:';

/**
 * Settings of an app's context: `hookline:<name>` in cdk.json, or `-c hookline:<name>=<JSON or plain text>`.
 * @throws {Error} of one line for an unknown name or an invalid value
 */
export function readSettings(node: Node): Settings {
  const context = Object.entries(node.getAllContext() as Record<string, unknown>);
  const given = context.flatMap(([key, value]) =>
    key.startsWith(contextPrefix)
      ? [[key.slice(contextPrefix.length), typeof value === 'string' ? parsedText(value) : value] as const]
      : [],
  );
  const parsed = settingsSchema.safeParse(Object.fromEntries(given));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  if (issue.code === 'unrecognized_keys') {
    const names = Object.keys(settingsSchema.shape).join(', ');
    throw new Error(`context ${contextPrefix}<name>: one of ${names}, got ${issue.keys.join(', ')}`);
  }
  throw new Error(`context ${contextPrefix}${issue.path.join('.')}: ${issue.message}`);
}

/** The command line gives every value as text. Lists, objects and numbers are JSON. */
function parsedText(text: string): unknown {
  return /^\s*([[{]|-?\d+(\.\d+)?\s*$)/.test(text) ? JSON.parse(text) : text;
}

/** @file The form of prices and rates. */
import { z } from 'zod';

const positive = z.number().positive();
const share = z.number().gt(0).max(1);

/** A published peak, the share of it that is reached, and the reason for that share. */
export const peakSchema = z.strictObject({ peak: positive, efficiency: share, why: z.string() });

const deviceSchema = z.strictObject({
  kind: z.enum(['gpu', 'cpu']),
  /** Of one device; for a processor see the instance. */
  memoryGiB: z.number().nonnegative(),
  /** FLOP/s of float32 products, TF32 if the GPU's runtime uses it. */
  gemm: peakSchema,
  /** FLOP/s of small batched products. */
  attention: peakSchema,
  /** FLOP/s in double precision. */
  float64: peakSchema,
  /** Bytes per second of the device's memory. */
  bandwidth: peakSchema,
  /** Bytes per second between host and device; null for a processor. */
  transferBytesPerSecond: positive.nullable(),
  operatorSeconds: positive,
});

const instanceSchema = z.strictObject({
  name: z.string().min(1),
  device: z.string(),
  devices: z.int().positive(),
  hostMemoryGiB: positive,
  dollarsPerHour: z.number().nonnegative(),
  spotDollarsPerHour: z.number().nonnegative(),
});

export const ratesSchema = z.strictObject({
  region: z.string(),
  asOf: z.string(),
  note: z.string(),
  devices: z.record(z.string(), deviceSchema),
  instances: z.array(instanceSchema).min(1),
  /** Rates of plain TypeScript, one thread. */
  host: z.strictObject({
    flopsPerSecond: positive,
    elementsPerSecond: positive,
    roundedNumbersPerSecond: positive,
    runSeconds: positive,
    why: z.string(),
  }),
  services: z.strictObject({
    storageDollarsPerGBMonth: positive,
    putDollarsPer1000: positive,
    getDollarsPer1000: positive,
    transitionDollarsPer1000: positive,
    functionDollarsPerGBSecond: positive,
    functionDollarsPerMillion: positive,
    /** From a request for an instance to its first task, including the pull of the image. */
    instanceStartSeconds: z.number().nonnegative(),
    /** From the start of a job to the start of its work. */
    taskStartSeconds: z.number().nonnegative(),
    storeBytesPerSecond: positive,
    loadBytesPerSecond: positive,
  }),
});

export type Rates = Readonly<z.infer<typeof ratesSchema>>;
export type InstanceRates = Rates['instances'][number];
export type DeviceRates = Rates['devices'][string];

/** @file Prices and rates: their form, the user's own copy of them, and what they make of a machine. */
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { InvalidInputError, MalformedFileError } from '../../errors.js';
import { defaultRates } from './default-rates.js';
import type { EffectiveRates } from './seconds-of.js';

const positive = z.number().positive();
const share = z.number().gt(0).max(1);

/** A published peak, the share of it that is reached, and why that share. */
const peakSchema = z.strictObject({ peak: positive, efficiency: share, why: z.string() });

const deviceSchema = z.strictObject({
  kind: z.enum(['gpu', 'cpu']),
  /** Of one device; for a processor see the instance. */
  memoryGiB: z.number().nonnegative(),
  /** FLOP/s of float32 products, TF32 where the GPU's runtime takes it. */
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
  /** What plain TypeScript does, one thread. */
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
    /** From a request for an instance to its first task, the image pulled. */
    instanceStartSeconds: z.number().nonnegative(),
    /** From a job's turn to its first line of work. */
    taskStartSeconds: z.number().nonnegative(),
    storeBytesPerSecond: positive,
    loadBytesPerSecond: positive,
  }),
});

export type Rates = Readonly<z.infer<typeof ratesSchema>>;
export type InstanceRates = Rates['instances'][number];
export type DeviceRates = Rates['devices'][string];

/** A machine to plan for: what it costs and holds, and what it does in a second. */
export interface Machine {
  readonly instance: InstanceRates;
  readonly kind: DeviceRates['kind'];
  /** Of one device. */
  readonly deviceMemoryGiB: number;
  readonly rates: EffectiveRates;
}

/**
 * The built-in rates, or the user's copy.
 *
 * @throws {InvalidInputError} if the file is missing, {MalformedFileError} naming the field that is wrong
 */
export async function readRates(path?: string): Promise<Rates> {
  if (path === undefined) return defaultRates;
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    throw new InvalidInputError(`rates ${path}`, 'a readable file', (cause as Error).message, { cause });
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new MalformedFileError(path, 'JSON', (cause as Error).message, { cause });
  }
  const parsed = ratesSchema.safeParse(value);
  if (!parsed.success) {
    const { path: where, message } = parsed.error.issues[0];
    throw new MalformedFileError(path, `a fitting field ${where.join('.')}`, message);
  }
  const homeless = parsed.data.instances.find(({ device }) => !(device in parsed.data.devices));
  if (homeless) throw new MalformedFileError(path, `a device ${homeless.device} for ${homeless.name}`, 'none');
  return parsed.data;
}

/** @throws {InvalidInputError} naming the instance types that are known */
export function machineOf(rates: Rates, name: string): Machine {
  const instance = rates.instances.find((candidate) => candidate.name === name);
  if (instance === undefined) {
    throw new InvalidInputError('--instance', `one of ${rates.instances.map((i) => i.name).join(', ')}`, name);
  }
  return machine(rates, instance);
}

/** All machines of the list. */
export const machinesOf = (rates: Rates): Machine[] => rates.instances.map((instance) => machine(rates, instance));

function machine(rates: Rates, instance: InstanceRates): Machine {
  const device = rates.devices[instance.device];
  return { instance, kind: device.kind, deviceMemoryGiB: device.memoryGiB, rates: effectiveRates(device, rates) };
}

const reached = ({ peak, efficiency }: z.infer<typeof peakSchema>): number => peak * efficiency;

/** An elementwise operator reads two float32 and writes one, more or less. */
const bytesPerElement = 12;

function effectiveRates(device: DeviceRates, { host, services }: Rates): EffectiveRates {
  const bandwidth = reached(device.bandwidth);
  return {
    gemmFlops: reached(device.gemm),
    attentionFlops: reached(device.attention),
    float64Flops: reached(device.float64),
    hostFlops: host.flopsPerSecond,
    operandBytes: bandwidth,
    elements: bandwidth / bytesPerElement,
    operatorSeconds: device.operatorSeconds,
    runSeconds: host.runSeconds,
    transferBytes: device.transferBytesPerSecond,
    hostElements: host.elementsPerSecond,
    roundedNumbers: host.roundedNumbersPerSecond,
    loadBytes: services.loadBytesPerSecond,
    storeBytes: services.storeBytesPerSecond,
  };
}

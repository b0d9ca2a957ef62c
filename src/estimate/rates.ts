/** @file Prices and rates, built in or from the user's file, and the machines that they describe. */
import { readFile } from 'node:fs/promises';
import type { z } from 'zod';
import { InvalidInputError, MalformedFileError } from '../errors.js';
import { parseJson } from '../json.js';
import { defaultRates } from './default-rates.js';
import { type DeviceRates, type InstanceRates, type peakSchema, type Rates, ratesSchema } from './rates-schema.js';
import type { EffectiveRates } from './seconds-of.js';

/** A machine to estimate for: its cost, its memory and its rates. */
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
    value = parseJson(text);
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

/** An elementwise operator typically reads two float32 and writes one. */
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

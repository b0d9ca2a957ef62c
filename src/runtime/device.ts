/** @file Choosing the execution provider that sessions run on. */
import { TransientError } from '../errors.js';
import { add, encodeGraph, Graph } from '../graph/index.js';
import { cudaLoaderReason, loadOnnxRuntime } from './onnx-runtime.js';
import { createSession } from './session.js';

/** What to run on; `auto` takes CUDA if it loads, else the CPU. */
export type DeviceChoice = 'auto' | 'cpu' | 'cuda' | 'webgpu';

/** An execution provider that is known to load. */
export interface Device {
  readonly provider: 'cpu' | 'cuda' | 'webgpu';
}

/** The CPU, which always loads. */
export const cpu: Device = { provider: 'cpu' };

/** Who is told if the CPU has to be used instead. */
export interface ResolveDeviceOptions {
  readonly onNotice?: (message: string) => void;
}

/**
 * Tries a provider with a tiny graph. If a requested one does not load, the CPU is used, and the reason is told once.
 *
 * @throws {PermanentError} if ONNX Runtime itself is missing, unless the CPU is asked for
 */
export async function resolveDevice(choice: DeviceChoice, options: ResolveDeviceOptions = {}): Promise<Device> {
  const tried = await tryDevice(choice);
  if (tried.failure === undefined) return tried.device;
  if (choice !== 'auto') {
    options.onNotice?.(`device ${choice} cannot be used, running on the CPU: ${tried.failure}`);
  }
  return cpu;
}

/**
 * The device that is named, and no other in its place; `auto` is any.
 *
 * @throws {TransientError} saying why, if it does not load on this machine
 * @throws {PermanentError} if ONNX Runtime itself is missing, unless the CPU is asked for
 */
export async function requireDevice(choice: DeviceChoice): Promise<Device> {
  const { device, failure } = await tryDevice(choice);
  if (failure === undefined) return device;
  if (choice === 'auto') return cpu;
  throw new TransientError(`device ${choice}: one that loads on this machine, got ${failure}`);
}

/** @returns the device, and why it does not load */
async function tryDevice(choice: DeviceChoice): Promise<{ readonly device: Device; readonly failure?: string }> {
  if (choice === 'cpu') return { device: cpu };
  const provider = choice === 'auto' ? 'cuda' : choice;
  await loadOnnxRuntime();
  try {
    const session = await createSession(await probe(), { executionProviders: [provider] });
    await session.release();
    return { device: { provider } };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const reason = provider === 'cuda' && choice !== 'auto' ? cudaLoaderReason() : undefined;
    return { device: { provider }, failure: reason === undefined ? message : `${message}: ${reason}` };
  }
}

async function probe(): Promise<Uint8Array> {
  const graph = new Graph();
  const x = graph.input('x', 'float32', [1]);
  graph.output('y', add(x, x));
  return (await encodeGraph(graph)).bytes;
}

/** @file Choosing the execution provider that sessions run on. */
import { add, encodeGraph, Graph } from '../graph/index.js';
import { loadOnnxRuntime } from './onnx-runtime.js';
import { createSession } from './session.js';

/** What to run on; `auto` takes CUDA where it loads, else the CPU. */
export type DeviceChoice = 'auto' | 'cpu' | 'cuda' | 'webgpu';

/** An execution provider that has been seen to load. */
export interface Device {
  readonly provider: 'cpu' | 'cuda' | 'webgpu';
}

/** The CPU, which always loads. */
export const cpu: Device = { provider: 'cpu' };

/** Who hears that a device falls back. */
export interface ResolveDeviceOptions {
  readonly onNotice?: (message: string) => void;
}

/**
 * Tries a provider with a tiny graph. One that was asked for and cannot load is said once, with the reason, and the CPU is used.
 *
 * @throws {PermanentError} if ONNX Runtime itself is missing, unless the CPU is asked for
 */
export async function resolveDevice(choice: DeviceChoice, options: ResolveDeviceOptions = {}): Promise<Device> {
  if (choice === 'cpu') return cpu;
  const provider = choice === 'auto' ? 'cuda' : choice;
  await loadOnnxRuntime();
  const failure = await loadFailure(provider);
  if (failure === undefined) return { provider };
  if (choice !== 'auto') options.onNotice?.(`device ${provider} cannot be used, running on the CPU: ${failure}`);
  return cpu;
}

/** Why a provider does not load, or undefined if it does. */
async function loadFailure(provider: 'cuda' | 'webgpu'): Promise<string | undefined> {
  try {
    const session = await createSession(await probe(), { executionProviders: [provider] });
    await session.release();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

async function probe(): Promise<Uint8Array> {
  const graph = new Graph();
  const x = graph.input('x', 'float32', [1]);
  graph.output('y', add(x, x));
  return (await encodeGraph(graph)).bytes;
}

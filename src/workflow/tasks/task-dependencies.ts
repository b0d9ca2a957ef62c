import type { SolverRequest } from '../../linalg/index.js';
import type { Listener } from '../../progress.js';
import type { ObjectStore } from '../../registry/index.js';
import { type Device, type DeviceChoice, requireDevice } from '../../runtime/index.js';

/** What a container task works with. */
export interface TaskDependencies {
  readonly store: ObjectStore;
  /** Folder on this machine's disk in which model files and texts are kept between tasks. */
  readonly cacheFolder: string;
  readonly device: DeviceChoice;
  /** `auto` unless given. */
  readonly solver?: SolverRequest;
  readonly memoryBudgetBytes: number;
  readonly listener: Listener;
  /** Aborted when the machine must stop the task. What is finished is stored, and another attempt does the rest. */
  readonly signal?: AbortSignal;
}

/**
 * The device to compute on. A task that asks for a GPU fails without one: on the CPU it would block a costly machine for long.
 *
 * @throws {TransientError} if the device was named and does not load here
 */
export async function taskDevice({ device: choice, listener }: TaskDependencies): Promise<Device> {
  const device = await requireDevice(choice);
  listener.onNotice?.(`computing on ${device.provider}`);
  return device;
}

/** The same listener, which also stops an aborted task at its next progress. */
export function stopping({ listener, signal }: TaskDependencies): Listener {
  return {
    ...listener,
    onProgress: (progress) => {
      signal?.throwIfAborted();
      listener.onProgress?.(progress);
    },
  };
}

/** @file The one place that says of an error of ONNX Runtime whether trying again may help. */
import { PermanentError, TransientError } from '../errors.js';
import type { Device } from './device.js';

/** Also of the arena, of cuBLAS and of the host's allocator. */
const outOfMemory = /out of memory|bad_alloc|failed to allocate|bfc_?arena|_STATUS_ALLOC_FAILED/i;

/** What CUDA, its libraries and WebGPU report of a device, or of the driver's state of it. */
const deviceFault =
  /\b(?:CUDA|CUBLAS|CUDNN|CUFFT|CURAND|CUSPARSE) (?:failure|error)|device (?:is |was )?lost|device removed/i;

/** Faults that the same program has on every such device: an argument that is none, an old driver, code for others. */
const programFault =
  /\bCUDA (?:failure|error) (?:1|35|98|209|222|801)\b|_STATUS_(?:NOT_SUPPORTED|INVALID_VALUE|BAD_PARAM|ARCH_MISMATCH)/i;

/** Turns what ONNX Runtime threw into an error that says whether trying again may help. It names the device at fault. */
export function runtimeError(what: string, device: Device, error: unknown): PermanentError | TransientError {
  const message = error instanceof Error ? error.message : String(error);
  const where = `${what} on device ${device.provider}`;
  if (outOfMemory.test(message)) {
    return new TransientError(`${where}: enough memory, got ${message}`, { cause: error });
  }
  if (deviceFault.test(message) && !programFault.test(message)) {
    return new TransientError(`${where}: a device that works, got ${message}`, { cause: error });
  }
  return new PermanentError(`${what}: a graph that ONNX Runtime can run, got ${message}`, { cause: error });
}

/** @file Loading ONNX Runtime when the first session needs it, so that hookline can be imported where it is missing. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type * as OnnxRuntime from 'onnxruntime-common';
import { PermanentError } from '../errors.js';

/** The version that package.json names. */
const version = '1.30.0';

/**
 * The copy for Linux on CPUs that the build makes. npm leaves out the package itself where its install script cannot
 * download the CUDA library. This code runs in `dist/runtime`, and bundled in `dist/containers`.
 */
const copy = new URL('../onnxruntime/', import.meta.url);
const nativeFolder = `bin/napi-v6/${process.platform}/${process.arch}`;

let loading: Promise<typeof OnnxRuntime> | undefined;

/**
 * ONNX Runtime, loaded once per process.
 * @throws {PermanentError} if it is not installed, or does not load on this machine
 */
export function loadOnnxRuntime(): Promise<typeof OnnxRuntime> {
  loading ??= load();
  return loading;
}

async function load(): Promise<typeof OnnxRuntime> {
  try {
    return await import('onnxruntime-node');
  } catch (error) {
    if (!isMissingPackage(error)) throw unusable(error);
  }
  const binding = new URL(`${nativeFolder}/onnxruntime_binding.node`, copy);
  if (!existsSync(fileURLToPath(binding))) throw missing();
  try {
    return await import(new URL('dist/index.js', copy).href);
  } catch (error) {
    throw unusable(error);
  }
}

/**
 * Why the loader of this system does not load the CUDA provider. ONNX Runtime only logs it, and throws that it failed.
 * @returns undefined if it loads, so that the fault is another one
 */
export function cudaLoaderReason(folder: string = installedFolder()): string | undefined {
  const names =
    process.platform === 'win32'
      ? ['onnxruntime_providers_shared.dll', 'onnxruntime_providers_cuda.dll']
      : ['libonnxruntime_providers_shared.so', 'libonnxruntime_providers_cuda.so'];
  for (const name of names) {
    const path = join(folder, nativeFolder, name);
    if (!existsSync(path)) return `${path} is not installed`;
    const reason = loaderReason(path);
    if (reason !== undefined) return reason;
  }
  return undefined;
}

/** The folder of the package, or of its copy. */
function installedFolder(): string {
  try {
    return dirname(dirname(createRequire(import.meta.url).resolve('onnxruntime-node')));
  } catch {
    return fileURLToPath(copy);
  }
}

function loaderReason(path: string): string | undefined {
  try {
    process.dlopen({ exports: {} }, path, constants.dlopen.RTLD_LAZY);
    return undefined;
  } catch (error) {
    const { message } = error as Error;
    // It is loaded then, and is no module of Node.js, which nobody said it was.
    return message.includes('did not self-register') ? undefined : message;
  }
}

function isMissingPackage(error: unknown): boolean {
  const { code, message } = error as NodeJS.ErrnoException;
  return code === 'ERR_MODULE_NOT_FOUND' && message.includes("'onnxruntime-node'");
}

function missing(): PermanentError {
  return new PermanentError(
    `ONNX Runtime: installed, got none (run \`npm install --ignore-scripts onnxruntime-node@${version}\`)`,
  );
}

/** The package is installed, but its native library does not fit this machine. */
function unusable(error: unknown): PermanentError {
  const [reason] = (error instanceof Error ? error.message : String(error)).split('\n');
  return new PermanentError(`ONNX Runtime: a native library that loads on this machine, got ${reason}`, {
    cause: error,
  });
}

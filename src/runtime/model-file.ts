/** @file Running a model file that somebody else exported. */
import type { InferenceSession } from 'onnxruntime-common';
import { InvalidInputError } from '../errors.js';
import { dtypes } from '../tensor/index.js';
import { cpu } from './device.js';
import type { ProgramInput } from './feeds.js';
import { loadOnnxRuntime } from './onnx-runtime.js';
import { type CompileOptions, type Program, SessionProgram } from './program.js';
import { runtimeError } from './runtime-error.js';
import { createSession } from './session.js';

/** A loaded model file, with shapes and symbols as the file declares them. Dispose of it when done. */
export interface ModelFile extends Program {
  readonly outputs: readonly ProgramInput[];
}

/**
 * Loads a model as any ONNX Runtime user would, with its external data from the folder it lies in. ONNX Runtime itself
 * checks the feeds.
 *
 * @throws {InvalidInputError} if an input or output is no tensor of a known element type
 * @throws {PermanentError} if ONNX Runtime is missing or cannot load it, {TransientError} naming the device,
 *   if it is out of memory, lost or broken
 */
export async function openModelFile(
  path: string,
  options: Pick<CompileOptions, 'device' | 'threads' | 'optimization'> = {},
): Promise<ModelFile> {
  const { device = cpu, threads, optimization = 'all' } = options;
  const { Tensor: OrtTensor } = await loadOnnxRuntime();
  let session: InferenceSession;
  try {
    session = await createSession(path, {
      executionProviders: [device.provider],
      graphOptimizationLevel: optimization,
      enableMemPattern: false,
      ...(threads !== undefined && { intraOpNumThreads: threads }),
    });
  } catch (error) {
    throw runtimeError(`loading ${path}`, device, error);
  }
  const program = new SessionProgram(
    session,
    { OrtTensor, device },
    session.inputMetadata.map(portOf),
    () => undefined,
  );
  return Object.assign(program, { outputs: session.outputMetadata.map(portOf) });
}

function portOf(metadata: InferenceSession.ValueMetadata): ProgramInput {
  const dtype = metadata.isTensor ? dtypes.find((name) => name === metadata.type) : undefined;
  if (!metadata.isTensor || dtype === undefined) {
    const got = metadata.isTensor ? metadata.type : 'no tensor';
    throw new InvalidInputError(`input or output ${metadata.name}`, `a tensor of ${dtypes.join(', ')}`, got);
  }
  return { name: metadata.name, dtype, shape: metadata.shape };
}

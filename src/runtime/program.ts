/** @file Compiling a graph and running it; a program holds one ONNX Runtime session. */
import type { InferenceSession, Tensor as OrtTensor, TensorConstructor } from 'onnxruntime-common';
import { InvalidInputError, PermanentError, TransientError } from '../errors.js';
import { encodeGraph, type Graph } from '../graph/index.js';
import { type DataOf, type Dtype, dtypes, type Tensor, tensor } from '../tensor/index.js';
import { cpu, type Device } from './device.js';
import { checkFeeds, type ProgramInput } from './feeds.js';
import { loadOnnxRuntime } from './onnx-runtime.js';
import { createSession } from './session.js';

/** How to compile. */
export interface CompileOptions {
  /** The CPU unless said otherwise. */
  readonly device?: Device;
  /** Threads of one operator; ONNX Runtime's choice (one per core) if left out. */
  readonly threads?: number;
  /** Hold a second copy of the weights, laid out for the CPU's products: about 1.25 times as fast for few rows. Off by default. */
  readonly prepack?: boolean;
  readonly optimization?: 'disabled' | 'basic' | 'extended' | 'all';
}

/** A compiled graph. Dispose of it when done: its memory is not the garbage collector's. */
export interface Program {
  readonly inputs: readonly ProgramInput[];
  /**
   * Computes the outputs. The event loop stands still meanwhile. Feeds are not copied: leave them alone until the run is done.
   *
   * @throws {InvalidInputError} if the feeds do not fit the declared inputs, or the program is disposed
   * @throws {TransientError} if the device is out of memory
   * @throws {PermanentError} if ONNX Runtime cannot compute it
   */
  run(feeds: Readonly<Record<string, Tensor>>): Promise<Record<string, Tensor>>;
  /** Frees the session; a second call does nothing. */
  dispose(): Promise<void>;
}

/**
 * Makes a graph ready to run. Weights are mapped from their files, not copied.
 *
 * @throws {PermanentError} if ONNX Runtime is missing, the graph cannot run on the device, or its weights lie in several folders
 * @throws {TransientError} if the device is out of memory
 */
export async function compile(graph: Graph, options: CompileOptions = {}): Promise<Program> {
  const { bytes, weightsFolder, inputs } = await encodeGraph(graph);
  const { Tensor: OrtTensor } = await loadOnnxRuntime();
  try {
    return new SessionProgram(await createSession(bytes, sessionOptions(options, weightsFolder)), OrtTensor, inputs);
  } catch (error) {
    throw runtimeError('compiling a graph', error);
  }
}

function sessionOptions(options: CompileOptions, weightsFolder: string | undefined): InferenceSession.SessionOptions {
  const { device = cpu, threads, prepack = false, optimization = 'all' } = options;
  return {
    executionProviders: [device.provider],
    graphOptimizationLevel: optimization,
    // A memory pattern is planned anew, and kept, for every new shape: at a varying batch it only adds up.
    enableMemPattern: false,
    ...(threads !== undefined && { intraOpNumThreads: threads }),
    extra: {
      session: {
        ...(!prepack && { disable_prepacking: '1' }),
        ...(weightsFolder !== undefined && { model_external_initializers_file_folder_path: weightsFolder }),
      },
      // The fusion rewrites x * sigmoid(x) to an operator that has no float64 kernel.
      optimization: { disable_specified_optimizers: 'QuickGeluFusion' },
    },
  };
}

/** A session and what it takes. */
export class SessionProgram implements Program {
  #session: InferenceSession | undefined;
  readonly #OrtTensor: TensorConstructor;
  readonly #check: typeof checkFeeds;

  /**
   * @param OrtTensor the class of the runtime that made the session
   * @param check refuses feeds before ONNX Runtime sees them
   */
  constructor(
    session: InferenceSession,
    OrtTensor: TensorConstructor,
    readonly inputs: readonly ProgramInput[],
    check: typeof checkFeeds = checkFeeds,
  ) {
    this.#session = session;
    this.#OrtTensor = OrtTensor;
    this.#check = check;
  }

  async run(feeds: Readonly<Record<string, Tensor>>): Promise<Record<string, Tensor>> {
    const session = this.#session;
    if (session === undefined) throw new InvalidInputError('program', 'not disposed', 'a run after dispose');
    this.#check(this.inputs, feeds);
    const lent = Object.entries(feeds).map(([name, feed]) => [name, lend(feed, this.#OrtTensor)] as const);
    let results: InferenceSession.ReturnType;
    try {
      results = await session.run(Object.fromEntries(lent));
    } catch (error) {
      throw runtimeError('running a graph', error);
    }
    return Object.fromEntries(Object.entries(results).map(([name, result]) => [name, adopt(name, result)]));
  }

  async dispose(): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    await session?.release();
  }
}

/** The same memory as an ONNX Runtime tensor. */
function lend({ dtype, shape, data }: Tensor, OrtTensor: TensorConstructor): OrtTensor {
  if (dtype === 'bfloat16')
    throw new InvalidInputError('feed', 'a dtype that ONNX Runtime takes from JavaScript', dtype);
  return new OrtTensor(dtype, data, shape);
}

/** The same memory as a host tensor. */
function adopt(name: string, { type, dims, data }: OrtTensor): Tensor {
  const dtype = dtypes.find((candidate) => candidate === type);
  if (dtype === undefined) throw new InvalidInputError(`output ${name}`, dtypes.join(', '), type);
  // Newer versions of Node.js have a Float16Array; here halves are their bits.
  if (dtype === 'float16') return tensor(dtype, dims, halfBits(data as Uint16Array));
  return tensor(dtype, dims, data as DataOf<Dtype>);
}

function halfBits({ buffer, byteOffset, length }: Uint16Array): Uint16Array {
  return new Uint16Array(buffer, byteOffset, length);
}

const OUT_OF_MEMORY = /out of memory|bad_alloc|failed to allocate|bfc_arena|bfcarena/i;

/** What ONNX Runtime threw, as an error that says whether trying again may help. */
export function runtimeError(what: string, error: unknown): PermanentError | TransientError {
  const message = error instanceof Error ? error.message : String(error);
  return OUT_OF_MEMORY.test(message)
    ? new TransientError(`${what}: enough memory on the device, got ${message}`, { cause: error })
    : new PermanentError(`${what}: a graph that ONNX Runtime can run, got ${message}`, { cause: error });
}

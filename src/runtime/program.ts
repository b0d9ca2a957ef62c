/** @file Compiling a graph and running it; a program holds one ONNX Runtime session. */
import type { InferenceSession, Tensor as OrtTensor, TensorConstructor } from 'onnxruntime-common';
import { InvalidInputError } from '../errors.js';
import { encodeGraph, type Graph } from '../graph/index.js';
import { type DataOf, type Dtype, dtypes, type Tensor, tensor } from '../tensor/index.js';
import { cpu, type Device } from './device.js';
import { checkFeeds, type ProgramInput } from './feeds.js';
import { loadOnnxRuntime } from './onnx-runtime.js';
import { runtimeError } from './runtime-error.js';
import { createSession } from './session.js';

/** Default rows of one forward pass: enough to keep the processor's matrix products busy. */
export const rowsPerBatch = 1024;

/** How to compile. */
export interface CompileOptions {
  /** The CPU by default. */
  readonly device?: Device;
  /** Threads of one operator; by default ONNX Runtime's choice, one per core. */
  readonly threads?: number;
  /**
   * Holds a second copy of the weights, laid out for the CPU's products: faster for few rows, see docs/results.md. Off
   * by default.
   */
  readonly prepack?: boolean;
  readonly optimization?: 'disabled' | 'basic' | 'extended' | 'all';
  /**
   * Bytes that a checkpoint may take in float32 for weights which are stored in two bytes to be widened once, and held. Where it
   * takes more, each is widened where it is used, which costs time where there are few rows (docs/results.md). By default 1 GiB
   * on the CPU, and nothing on other devices.
   */
  readonly mostWidenedBytes?: number;
}

/** Default of {@link CompileOptions.mostWidenedBytes} on the CPU: 1 GiB, a model of 268 million parameters. */
export const mostWidenedOnCpu = 2 ** 30;

/** A compiled graph. Dispose of it when done: its memory is not the garbage collector's. */
export interface Program {
  readonly inputs: readonly ProgramInput[];
  /**
   * Computes the outputs. It blocks the event loop. Feeds are not copied: do not change them before the run is done.
   *
   * @throws {InvalidInputError} if the feeds do not fit the declared inputs, or the program is disposed
   * @throws {TransientError} naming the device, if it is out of memory, lost or broken
   * @throws {PermanentError} if ONNX Runtime cannot compute it
   */
  run(feeds: Readonly<Record<string, Tensor>>): Promise<Record<string, Tensor>>;
  /** Frees the session; a second call does nothing. */
  dispose(): Promise<void>;
}

/**
 * Makes a graph ready to run. Weights are mapped from their files, not copied, but for those that are widened and held.
 *
 * @throws {PermanentError} if ONNX Runtime is missing, the graph cannot run on the device, or its weights lie in
 *   several folders
 * @throws {TransientError} naming the device, if it is out of memory, lost or broken
 */
export async function compile(graph: Graph, options: CompileOptions = {}): Promise<Program> {
  const { device = cpu, mostWidenedBytes = device.provider === 'cpu' ? mostWidenedOnCpu : 0 } = options;
  const { bytes, weightsFolder, inputs } = await encodeGraph(graph, mostWidenedBytes);
  const { Tensor: OrtTensor } = await loadOnnxRuntime();
  try {
    const session = await createSession(bytes, sessionOptions(options, weightsFolder));
    return new SessionProgram(session, { OrtTensor, device }, inputs);
  } catch (error) {
    throw runtimeError('compiling a graph', device, error);
  }
}

function sessionOptions(options: CompileOptions, weightsFolder: string | undefined): InferenceSession.SessionOptions {
  const { device = cpu, threads, prepack = false, optimization = 'all' } = options;
  return {
    executionProviders: [device.provider],
    graphOptimizationLevel: optimization,
    // ONNX Runtime keeps one memory pattern for every shape it has seen, so with varying batches they only pile up.
    enableMemPattern: false,
    ...(threads !== undefined && { intraOpNumThreads: threads }),
    extra: {
      session: {
        ...(!prepack && { disable_prepacking: '1' }),
        ...(weightsFolder !== undefined && { model_external_initializers_file_folder_path: weightsFolder }),
      },
      // This fusion makes an operator of x * sigmoid(x) that has no float64 kernel.
      optimization: { disable_specified_optimizers: 'QuickGeluFusion' },
    },
  };
}

/** What a session runs with. */
interface SessionPlace {
  /** The class of the runtime that made the session. */
  readonly OrtTensor: TensorConstructor;
  readonly device: Device;
}

/** A session and its inputs. */
export class SessionProgram implements Program {
  #session: InferenceSession | undefined;
  readonly #place: SessionPlace;
  readonly #check: typeof checkFeeds;

  /** @param check refuses feeds before ONNX Runtime sees them */
  constructor(
    session: InferenceSession,
    place: SessionPlace,
    readonly inputs: readonly ProgramInput[],
    check: typeof checkFeeds = checkFeeds,
  ) {
    this.#session = session;
    this.#place = place;
    this.#check = check;
  }

  async run(feeds: Readonly<Record<string, Tensor>>): Promise<Record<string, Tensor>> {
    const session = this.#session;
    if (session === undefined) throw new InvalidInputError('program', 'not disposed', 'a run after dispose');
    this.#check(this.inputs, feeds);
    const lent = Object.entries(feeds).map(([name, feed]) => [name, lend(feed, this.#place.OrtTensor)] as const);
    let results: InferenceSession.ReturnType;
    try {
      results = await session.run(Object.fromEntries(lent));
    } catch (error) {
      throw runtimeError('running a graph', this.#place.device, error);
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
  // In newer versions of Node.js this is a Float16Array. Here halves are held as their bits.
  if (dtype === 'float16') return tensor(dtype, dims, halfBits(data as Uint16Array));
  return tensor(dtype, dims, data as DataOf<Dtype>);
}

function halfBits({ buffer, byteOffset, length }: Uint16Array): Uint16Array {
  return new Uint16Array(buffer, byteOffset, length);
}

/** @file TensorFlow's float32 kernels from its optional package for Node.js. No other file names that package. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import type { SingleKernels } from './single-kernels.js';

/** A tensor of the package, as its private interface for kernels takes and returns it. */
interface TfTensor {
  readonly shape: readonly number[];
  dataSync(): Float32Array;
  dispose(): void;
}

interface OpAttribute {
  readonly name: string;
  readonly type: number;
  readonly value: number | boolean;
}

/** The used part of the package's backend: any TensorFlow kernel by its name. The public interface has only some. */
interface TfBackend {
  readonly isUsingGpuDevice: boolean;
  readonly binding: {
    readonly TF_ATTR_TYPE: number;
    readonly TF_ATTR_BOOL: number;
    readonly TF_FLOAT: number;
    readonly TF_Version: string;
  };
  executeSingleOutput(name: string, attributes: readonly OpAttribute[], inputs: readonly TfTensor[]): TfTensor;
}

/** The used part of the package. */
interface TfPackage {
  backend(): TfBackend;
  tensor2d(data: Float32Array, shape: readonly [number, number]): TfTensor;
  slice(a: TfTensor, begin: readonly [number, number], size: readonly [number, number]): TfTensor;
  eye(size: number): TfTensor;
}

/** The kernels, or why they cannot be used. */
export type Tensorflow = { readonly kernels: SingleKernels<TfTensor> } | { readonly missing: string };

const packageNames = ['@tensorflow/tfjs-node-gpu', '@tensorflow/tfjs-node'];

/**
 * Loads the first installed one of TensorFlow's two packages for Node.js, and factors a tiny matrix with it.
 * @param folder whose `node_modules` hold it; by default where hookline is installed
 */
export function openTensorflow(folder?: string): Tensorflow {
  const require = createRequire(folder === undefined ? import.meta.url : join(resolve(folder), 'package.json'));
  const name = packageNames.find((candidate) => isInstalled(require, candidate));
  if (name === undefined) {
    return { missing: `${packageNames.join(' or ')} is not installed${folder === undefined ? '' : ` in ${folder}`}` };
  }
  prepareEnvironment();
  try {
    const kernels = new TensorflowKernels(require(name) as TfPackage);
    const [corner, , , last] = factorOf(kernels, [4, 2, 2, 10]);
    if (corner === 2 && last === 3) return { kernels };
    return { missing: `${name} factors [4 2; 2 10] wrongly: a diagonal of 2 and 3, got ${corner} and ${last}` };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return { missing: `${name} does not load: ${message.split('\n')[0].trim()}` };
  }
}

function isInstalled(require: NodeJS.Require, name: string): boolean {
  return (require.resolve.paths(name) ?? []).some((folder) => existsSync(join(folder, name, 'package.json')));
}

/**
 * Settings that TensorFlow reads when its library loads; the user's own settings stay. Its log is off, because errors
 * come as exceptions. On a GPU it must leave memory to ONNX Runtime, and must not round float32 factors to 10 bits
 * (TF32).
 */
function prepareEnvironment(): void {
  process.env.TF_CPP_MIN_LOG_LEVEL ??= '3';
  process.env.TF_FORCE_GPU_ALLOW_GROWTH ??= 'true';
  process.env.NVIDIA_TF32_OVERRIDE ??= '0';
}

function factorOf(kernels: SingleKernels<TfTensor>, values: readonly number[]): Float32Array {
  const matrix = kernels.load(Float32Array.from(values), 2, 2);
  const factor = kernels.cholesky(matrix);
  const result = kernels.read(factor);
  kernels.free(matrix, factor);
  return result;
}

/** Float32 matrices where TensorFlow keeps them. */
class TensorflowKernels implements SingleKernels<TfTensor> {
  readonly #package: TfPackage;
  readonly #backend: TfBackend;

  constructor(tensorflow: TfPackage) {
    this.#package = tensorflow;
    this.#backend = tensorflow.backend();
  }

  get isGpu(): boolean {
    return this.#backend.isUsingGpuDevice;
  }

  get description(): string {
    return `TensorFlow ${this.#backend.binding.TF_Version} on ${this.isGpu ? 'a GPU' : 'the CPU'}`;
  }

  load(data: Float32Array, rows: number, columns: number): TfTensor {
    return this.#package.tensor2d(data, [rows, columns]);
  }

  read(a: TfTensor): Float32Array {
    return a.dataSync();
  }

  block(a: TfTensor, top: number, bottom: number, left: number, right: number): TfTensor {
    return this.#package.slice(a, [top, left], [bottom - top, right - left]);
  }

  cholesky(a: TfTensor): TfTensor {
    return this.#run('Cholesky', {}, [a]);
  }

  invertLower(l: TfTensor): TfTensor {
    const unit = this.#package.eye(l.shape[0]);
    const inverse = this.#run('MatrixTriangularSolve', { lower: true, adjoint: false }, [l, unit]);
    unit.dispose();
    return inverse;
  }

  multiply(a: TfTensor, b: TfTensor, { transB = false } = {}): TfTensor {
    return this.#run('MatMul', { transpose_a: false, transpose_b: transB }, [a, b]);
  }

  free(...matrices: readonly TfTensor[]): void {
    for (const matrix of matrices) matrix.dispose();
  }

  /** Runs a kernel on float32 matrices. */
  #run(name: string, flags: Readonly<Record<string, boolean>>, inputs: readonly TfTensor[]): TfTensor {
    const { binding } = this.#backend;
    const attributes = [
      { name: 'T', type: binding.TF_ATTR_TYPE, value: binding.TF_FLOAT },
      ...Object.entries(flags).map(([flag, value]) => ({ name: flag, type: binding.TF_ATTR_BOOL, value })),
    ];
    return this.#backend.executeSingleOutput(name, attributes, inputs);
  }
}

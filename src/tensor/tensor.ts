/** @file Host arrays: a dtype, a shape, and a flat typed array in row-major order. */

import { InvalidInputError } from '../errors.js';

/** The typed array that holds the elements of a dtype; halves are held as their bits. */
interface ArrayOfDtype {
  float32: Float32Array;
  float64: Float64Array;
  float16: Uint16Array;
  bfloat16: Uint16Array;
  int32: Int32Array;
  int64: BigInt64Array;
  int8: Int8Array;
  uint8: Uint8Array;
  bool: Uint8Array;
}

/** Storage types of tensors. */
export type Dtype = keyof ArrayOfDtype;

/** The typed array that holds a dtype's elements: `Uint16Array` for both halves, `BigInt64Array` for int64. */
export type DataOf<D extends Dtype> = ArrayOfDtype[D];

interface Storage<D extends Dtype> {
  readonly safetensors: string;
  readonly array: { readonly BYTES_PER_ELEMENT: number; new (elements: number): DataOf<D> } & {
    new (buffer: ArrayBufferLike, offsetBytes: number, elements: number): DataOf<D>;
  };
}

const storage: { readonly [D in Dtype]: Storage<D> } = {
  float32: { safetensors: 'F32', array: Float32Array },
  float64: { safetensors: 'F64', array: Float64Array },
  float16: { safetensors: 'F16', array: Uint16Array },
  bfloat16: { safetensors: 'BF16', array: Uint16Array },
  int32: { safetensors: 'I32', array: Int32Array },
  int64: { safetensors: 'I64', array: BigInt64Array },
  int8: { safetensors: 'I8', array: Int8Array },
  uint8: { safetensors: 'U8', array: Uint8Array },
  bool: { safetensors: 'BOOL', array: Uint8Array },
};

/** A dense host array in row-major order. */
export interface Tensor<D extends Dtype = Dtype> {
  readonly dtype: D;
  readonly shape: readonly number[];
  readonly data: DataOf<D>;
}

/** Every dtype. */
export const dtypes = Object.keys(storage) as readonly Dtype[];

/** Bytes of one element. */
export function bytesPerElement(dtype: Dtype): number {
  return storage[dtype].array.BYTES_PER_ELEMENT;
}

/** The name of a dtype in safetensors headers, such as `BF16`. */
export function safetensorsName(dtype: Dtype): string {
  return storage[dtype].safetensors;
}

/** Number of elements of a shape: the product of its dimensions, 1 for a scalar. */
export function elementCount(shape: readonly number[]): number {
  let count = 1;
  for (const size of shape) count *= size;
  return count;
}

/**
 * Joins a dtype, a shape and its elements to a tensor; the data is not copied.
 *
 * @throws {InvalidInputError} if a dimension is not a natural number, or the element count is not the shape's product
 */
export function tensor<D extends Dtype>(dtype: D, shape: readonly number[], data: DataOf<D>): Tensor<D> {
  if (!shape.every((size) => Number.isSafeInteger(size) && size >= 0)) {
    throw new InvalidInputError('tensor shape', 'natural numbers', `[${shape.join(', ')}]`);
  }
  if (data.length !== elementCount(shape)) {
    throw new InvalidInputError('tensor data', `${elementCount(shape)} elements for [${shape}]`, `${data.length}`);
  }
  return { dtype, shape, data };
}

/** A tensor of zeros. */
export function zeros<D extends Dtype>(dtype: D, shape: readonly number[]): Tensor<D> {
  return tensor(dtype, shape, new storage[dtype].array(elementCount(shape)));
}

/** The elements as bytes, little-endian, sharing the tensor's memory. */
export function tensorBytes({ data }: Tensor): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/**
 * Reads little-endian bytes as a tensor; shares the bytes' memory when they are aligned for the dtype, copies
 * otherwise.
 *
 * @throws {InvalidInputError} if the byte count does not fit the shape
 */
export function tensorFromBytes<D extends Dtype>(dtype: D, shape: readonly number[], bytes: Uint8Array): Tensor<D> {
  const size = bytesPerElement(dtype);
  if (bytes.byteLength !== elementCount(shape) * size) {
    throw new InvalidInputError(
      'tensor bytes',
      `${elementCount(shape) * size} for ${dtype} [${shape}]`,
      `${bytes.length}`,
    );
  }
  // The slice of a Buffer would be the same memory.
  const aligned = bytes.byteOffset % size === 0 ? bytes : new Uint8Array(bytes);
  const data = new storage[dtype].array(aligned.buffer, aligned.byteOffset, aligned.byteLength / size);
  return tensor(dtype, shape, data);
}

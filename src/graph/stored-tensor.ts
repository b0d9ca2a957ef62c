/**
 * @file Reads a constant of a foreign model from where it is stored: raw bytes, typed lists, or a range of another
 *   file.
 */
import { dirname, isAbsolute, join, normalize } from 'node:path';
import { InvalidInputError, MalformedFileError } from '../errors.js';
import {
  bytesPerElement,
  type DataOf,
  type Dtype,
  elementCount,
  readTensor,
  type Tensor,
  type TensorLocation,
  tensor,
  tensorFromBytes,
} from '../tensor/index.js';
import { knownDtype } from './dtype-code.js';

/** The fields of a `TensorProto` that say what its elements are. */
export interface StoredTensor {
  readonly name: string;
  readonly dims: readonly bigint[];
  readonly dataType: number;
  readonly dataLocation: number;
  readonly externalData: readonly { readonly key: string; readonly value: string }[];
  readonly rawData: Uint8Array;
  readonly floatData: readonly number[];
  readonly doubleData: readonly number[];
  readonly int32Data: readonly number[];
  readonly int64Data: readonly bigint[];
}

/** `TensorProto.DataLocation`. */
const EXTERNAL = 1;

/** A range of a file. Without a size it is as long as the shape requires. */
type FileRange = Pick<TensorLocation, 'file' | 'offsetBytes'> & { readonly sizeBytes?: number };

/**
 * Where a tensor's bytes lie if not in the model, or undefined.
 *
 * @param modelPath locations are relative to its folder
 * @throws {MalformedFileError} if the location leads out of that folder
 */
export function externalLocation(stored: StoredTensor, modelPath: string): FileRange | undefined {
  if (stored.dataLocation !== EXTERNAL) return undefined;
  const entries = new Map(stored.externalData.map(({ key, value }) => [key, value]));
  const location = normalize(entries.get('location') ?? '..');
  if (isAbsolute(location) || location.startsWith('..')) {
    throw new MalformedFileError(modelPath, `external data of ${stored.name} below its folder`, `location ${location}`);
  }
  const length = entries.get('length');
  return {
    file: join(dirname(modelPath), location),
    offsetBytes: Number(entries.get('offset') ?? 0),
    ...(length !== undefined && { sizeBytes: Number(length) }),
  };
}

/**
 * Reads the elements.
 *
 * @throws {InvalidInputError} if the element type is none of the project's
 * @throws {MalformedFileError} if the bytes do not fit the shape, or the external file is missing or ends too early
 */
export async function readStoredTensor(stored: StoredTensor, modelPath: string, name: string): Promise<Tensor> {
  const dtype = knownDtype(stored.dataType);
  if (dtype === undefined) throw new InvalidInputError(`constant ${name}`, 'a known type', `type ${stored.dataType}`);
  const shape = stored.dims.map(Number);
  const external = externalLocation(stored, modelPath);
  try {
    if (external === undefined) return inlineTensor(dtype, shape, stored);
    return await readTensor({ dtype, shape, sizeBytes: elementCount(shape) * bytesPerElement(dtype), ...external });
  } catch (cause) {
    const what = external === undefined ? modelPath : external.file;
    throw new MalformedFileError(what, `the elements of ${name}, ${dtype} [${shape}]`, String(cause), { cause });
  }
}

function inlineTensor(dtype: Dtype, shape: readonly number[], stored: StoredTensor): Tensor {
  if (stored.rawData.byteLength > 0) return tensorFromBytes(dtype, shape, stored.rawData);
  return tensor(dtype, shape, typedElements(dtype, stored));
}

/** Reads the typed lists. Types narrower than int32 (halves as their bits) are kept in `int32_data`. */
function typedElements(dtype: Dtype, { floatData, doubleData, int32Data, int64Data }: StoredTensor): DataOf<Dtype> {
  switch (dtype) {
    case 'float32':
      return Float32Array.from(floatData);
    case 'float64':
      return Float64Array.from(doubleData);
    case 'int64':
      return BigInt64Array.from(int64Data);
    case 'int32':
      return Int32Array.from(int32Data);
    case 'float16':
    case 'bfloat16':
      return Uint16Array.from(int32Data);
    case 'int8':
      return Int8Array.from(int32Data);
    case 'uint8':
    case 'bool':
      return Uint8Array.from(int32Data);
  }
}

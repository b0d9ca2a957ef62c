/** @file Safetensors files with a SHA-256 of their own content, and triangular matrices as tensors. */
import { createHash } from 'node:crypto';
import { DigestMismatchError, MalformedFileError } from '../errors.js';
import { type Matrix, matrix } from '../linalg/index.js';
import { canonicalJson } from '../registry/index.js';
import { decodeSafetensors, encodeSafetensors, type Tensor, tensor, tensorBytes } from '../tensor/index.js';

type Metadata = Readonly<Record<string, string>>;

/** A safetensors file whose metadata also holds `sha256`, over all other metadata and every tensor. */
export function encodeSealed(tensors: ReadonlyMap<string, Tensor>, metadata: Metadata): Uint8Array {
  return encodeSafetensors(tensors, { ...metadata, sha256: sealOf(tensors, metadata) });
}

/**
 * @param what the file's name for messages
 * @throws {MalformedFileError} if the bytes are no safetensors file
 * @throws {DigestMismatchError} if they are not what was sealed
 */
export function decodeSealed(
  bytes: Uint8Array,
  what: string,
): { metadata: Metadata; tensors: ReadonlyMap<string, Tensor> } {
  const { metadata, tensors } = decodeSafetensors(bytes, what);
  const { sha256, ...rest } = metadata;
  if (sha256 === undefined) throw new MalformedFileError(what, 'a sha256 in its metadata', 'none');
  const actual = sealOf(tensors, rest);
  if (actual !== sha256) throw new DigestMismatchError(what, sha256, actual);
  return { metadata: rest, tensors };
}

function sealOf(tensors: ReadonlyMap<string, Tensor>, metadata: Metadata): string {
  const sorted = [...tensors].sort(([first], [second]) => (first < second ? -1 : 1));
  const shapes = sorted.map(([name, { dtype, shape }]) => [name, dtype, [...shape]]);
  const hash = createHash('sha256').update(canonicalJson([metadata, shapes]));
  for (const [, value] of sorted) hash.update(tensorBytes(value));
  return hash.digest('hex');
}

/** The lower triangle, row by row: float64 [n (n + 1) / 2]. It is exact, and half the size of the matrix. */
export function packLower({ rows, columns, data }: Matrix): Tensor<'float64'> {
  const packed = new Float64Array((rows * (rows + 1)) / 2);
  for (let i = 0, at = 0; i < rows; at += ++i) packed.set(data.subarray(i * columns, i * columns + i + 1), at);
  return tensor('float64', [packed.length], packed);
}

/**
 * The lower triangular matrix of {@link packLower}, zeros above the diagonal.
 *
 * @param size n
 * @param what the file's name for messages
 * @throws {MalformedFileError} if the tensor is absent or no such triangle
 */
export function unpackLower(packed: Tensor | undefined, size: number, what: string): Matrix {
  const { data } = requireFloat64Tensor(packed, [(size * (size + 1)) / 2], what);
  const { data: result } = matrix(size, size);
  for (let i = 0, at = 0; i < size; at += ++i) result.set(data.subarray(at, at + i + 1), i * size);
  return matrix(size, size, result);
}

/** The tensor, if it is float64 of this shape. @throws {MalformedFileError} if it is not, or is absent */
export function requireFloat64Tensor(
  found: Tensor | undefined,
  shape: readonly number[],
  what: string,
): Tensor<'float64'> {
  const wanted = `float64 [${shape.join(', ')}]`;
  const got = found === undefined ? 'none' : `${found.dtype} [${found.shape.join(', ')}]`;
  if (found === undefined || got !== wanted) throw new MalformedFileError(what, `a tensor ${wanted}`, got);
  return found as Tensor<'float64'>;
}

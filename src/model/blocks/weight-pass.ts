/** @file Reads whole weight files once, for their digest, and looks for what is no number on the way. */
import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { InvalidInputError, MalformedFileError } from '../../errors.js';
import { bytesPerElement, type Dtype, type TensorLocation, tensorFromBytes, toFloat32 } from '../../tensor/index.js';
import type { WeightFile } from './weights.js';

/** What is read at a time, a multiple of every element size. */
const pieceBytes = 1 << 22;

/** A range of a file, and the tensor it belongs to; the header belongs to none. */
interface Piece {
  readonly begin: number;
  readonly sizeBytes: number;
  readonly tensor?: readonly [name: string, TensorLocation];
}

/**
 * SHA-256 of a weight file.
 *
 * @param isChecked whether a tensor's elements have to be finite
 * @param onRead    called with the bytes of tensors in each piece
 * @throws {InvalidInputError} naming the file, the tensor and the place of an element that is infinite or not a number
 */
export async function digestOfWeights(
  file: WeightFile,
  isChecked: (name: string) => boolean,
  onRead: (bytes: number) => void,
): Promise<Uint8Array> {
  const hash = createHash('sha256');
  const handle = await open(file.realPath, 'r');
  try {
    for await (const { piece, bytes } of readAhead(handle, file.path, pieces(file, (await handle.stat()).size))) {
      hash.update(bytes);
      if (piece.tensor && isChecked(piece.tensor[0])) {
        const [name, { dtype, shape, offsetBytes }] = piece.tensor;
        requireFinite(file.path, { name, dtype, shape, bytes, before: piece.begin - offsetBytes });
      }
      if (piece.tensor) onRead(bytes.byteLength);
    }
  } finally {
    await handle.close();
  }
  return hash.digest();
}

/** Whether two tensors are the same, element type, shape and bytes. */
export async function isSameTensor(one: TensorLocation, other: TensorLocation): Promise<boolean> {
  if (one.dtype !== other.dtype || one.shape.join() !== other.shape.join()) return false;
  const [first, second] = await Promise.all([one, other].map(({ file }) => open(file, 'r')));
  try {
    for (let at = 0; at < one.sizeBytes; at += pieceBytes) {
      const sizeBytes = Math.min(pieceBytes, one.sizeBytes - at);
      const [a, b] = [Buffer.alloc(sizeBytes), Buffer.alloc(sizeBytes)];
      await readPiece(first, one.file, { begin: one.offsetBytes + at, sizeBytes }, a);
      await readPiece(second, other.file, { begin: other.offsetBytes + at, sizeBytes }, b);
      if (!a.equals(b)) return false;
    }
    return true;
  } finally {
    await Promise.all([first.close(), second.close()]);
  }
}

/** The whole file in its order. Tensors follow each other without gaps, as the format requires. */
function* pieces({ tensors }: WeightFile, fileBytes: number): Generator<Piece> {
  const ordered = [...tensors].sort(([, a], [, b]) => a.offsetBytes - b.offsetBytes || a.sizeBytes - b.sizeBytes);
  yield* cut(0, ordered[0]?.[1].offsetBytes ?? fileBytes);
  for (const tensor of ordered) yield* cut(tensor[1].offsetBytes, tensor[1].sizeBytes, tensor);
}

function* cut(begin: number, sizeBytes: number, tensor?: Piece['tensor']): Generator<Piece> {
  for (let at = 0; at < sizeBytes; at += pieceBytes) {
    yield { begin: begin + at, sizeBytes: Math.min(pieceBytes, sizeBytes - at), ...(tensor && { tensor }) };
  }
}

/** The bytes of each piece, the next of which is read while one is worked on. They are overwritten after that. */
async function* readAhead(handle: FileHandle, path: string, all: Generator<Piece>) {
  const buffers = [new Uint8Array(pieceBytes), new Uint8Array(pieceBytes)];
  const readNext = () => {
    const { value: piece } = all.next();
    if (piece === undefined) return undefined;
    buffers.reverse();
    const [buffer] = buffers;
    return readPiece(handle, path, piece, buffer).then((bytes) => ({ piece, bytes }));
  };
  let reading = readNext();
  while (reading !== undefined) {
    const done = await reading;
    reading = readNext();
    // Whoever stops here must not leave the next read behind without anybody to hear of its failure.
    reading?.catch(() => undefined);
    yield done;
  }
}

async function readPiece(
  handle: FileHandle,
  path: string,
  { begin, sizeBytes }: Piece,
  buffer: Uint8Array,
): Promise<Uint8Array> {
  let done = 0;
  while (done < sizeBytes) {
    const { bytesRead } = await handle.read(buffer, done, sizeBytes - done, begin + done);
    if (bytesRead === 0) throw new MalformedFileError(path, `${sizeBytes} bytes at ${begin}`, `an end after ${done}`);
    done += bytesRead;
  }
  return buffer.subarray(0, sizeBytes);
}

/**
 * How to see in 32-bit words that an exponent has nothing but ones, which makes a number infinite or none: what remains
 * under `mask` is the exponent, and adding its lowest bit carries into the sign.
 */
interface ExponentBits {
  readonly mask: number;
  readonly lowest: number;
  readonly sign: number;
  /** Words of an element; the last has the exponent. */
  readonly stride: 1 | 2;
}

const exponentBits: Partial<Record<Dtype, ExponentBits>> = {
  float32: { mask: 0x7f800000, lowest: 0x00800000, sign: 0x80000000, stride: 1 },
  float16: { mask: 0x7c007c00, lowest: 0x04000400, sign: 0x80008000, stride: 1 },
  bfloat16: { mask: 0x7f807f80, lowest: 0x00800080, sign: 0x80008000, stride: 1 },
  float64: { mask: 0x7ff00000, lowest: 0x00100000, sign: 0x80000000, stride: 2 },
};

/** Elements of a tensor, from the first of them or from another. */
interface Elements {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  /** Whole elements. */
  readonly bytes: Uint8Array;
  /** Bytes of the tensor before them. */
  readonly before: number;
}

/** @throws {InvalidInputError} naming the file, the tensor and the place of an element that is infinite or not a number */
export function requireFinite(path: string, { name, dtype, shape, bytes, before }: Elements): void {
  if (areFinite(dtype, bytes)) return;
  const elementBytes = bytesPerElement(dtype);
  const part = tensorFromBytes(dtype, [bytes.byteLength / elementBytes], bytes.slice());
  const values = part.dtype === 'float64' ? (part.data as Float64Array) : toFloat32(part);
  const index = values.findIndex((value) => !Number.isFinite(value));
  const place = placeOf(before / elementBytes + index, shape);
  throw new InvalidInputError(path, `finite numbers in tensor ${name}`, `${values[index]} at [${place.join(', ')}]`);
}

function areFinite(dtype: Dtype, bytes: Uint8Array): boolean {
  const bits = exponentBits[dtype];
  if (bits === undefined) return true;
  const { mask, lowest, sign, stride } = bits;
  const words = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >> 2);
  let carried = 0;
  for (let i = stride - 1; i < words.length; i += stride) carried |= ((words[i] & mask) + lowest) | 0;
  // An odd number of halves leaves one.
  const rest = bytes.subarray(4 * words.length);
  if (rest.length > 0) carried |= (((rest[0] | (rest[1] << 8)) & mask) + lowest) | 0;
  return (carried & sign) === 0;
}

function placeOf(index: number, shape: readonly number[]): number[] {
  const place: number[] = [];
  for (const size of shape.toReversed()) {
    place.unshift(index % size);
    index = Math.floor(index / size);
  }
  return place;
}

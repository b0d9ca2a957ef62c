/** @file Safetensors files: open, read, encode, decode. Hosts are little-endian, as the format is. */

import { type FileHandle, open, realpath } from 'node:fs/promises';
import { InvalidInputError, MalformedFileError } from '../errors.js';
import { buildHeader, headerLength, lengthPrefixBytes, parseHeader } from './safetensors-header.js';
import { bytesPerElement, type Dtype, type Tensor, tensorBytes, tensorFromBytes } from './tensor.js';

/** Where one tensor's bytes lie. */
export interface TensorLocation {
  /** Absolute path without symbolic links. */
  readonly file: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  /** From the file's first byte. */
  readonly offsetBytes: number;
  readonly sizeBytes: number;
  /** Bytes of all tensors of the checkpoint that it is part of, if it was opened with them. */
  readonly checkpointBytes?: number;
}

/** An opened safetensors file: its header is in memory, its tensors are read on demand. */
export interface SafetensorsFile {
  readonly path: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: ReadonlyMap<string, TensorLocation>;
  /** @throws {MalformedFileError} if the file has no tensor of that name */
  read(name: string): Promise<Tensor>;
}

/** Largest single read: the system call takes less than 2 GiB. */
const maxReadBytes = 2 ** 30;

/**
 * Reads and validates the header of a safetensors file.
 *
 * @throws {InvalidInputError} if there is no such file
 * @throws {MalformedFileError} if the file is not of its format
 */
export async function openSafetensors(path: string): Promise<SafetensorsFile> {
  const file = await resolve(path);
  const { metadata, entries, dataOffset } = await readHeader(file, path);
  const tensors = new Map<string, TensorLocation>();
  for (const [name, { dtype, shape, offsetBytes, sizeBytes }] of entries) {
    tensors.set(name, { file, dtype, shape, sizeBytes, offsetBytes: dataOffset + offsetBytes });
  }
  const read = async (name: string): Promise<Tensor> => {
    const location = tensors.get(name);
    if (location === undefined) throw new MalformedFileError(path, `a tensor named ${name}`, 'none');
    return readTensor(location);
  };
  return { path: file, metadata, tensors, read };
}

/**
 * Reads one tensor's bytes into memory of its own.
 *
 * @throws {MalformedFileError} if the file has become shorter
 */
export async function readTensor({ file, dtype, shape, offsetBytes, sizeBytes }: TensorLocation): Promise<Tensor> {
  const handle = await open(file, 'r');
  try {
    return tensorFromBytes(dtype, shape, await readExactly(handle, file, offsetBytes, sizeBytes));
  } finally {
    await handle.close();
  }
}

/**
 * A safetensors file as bytes.
 *
 * @throws {InvalidInputError} if two tensors have one name
 */
export function encodeSafetensors(
  tensors: Iterable<readonly [string, Tensor]>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const ordered = aligned(Array.from(tensors, ([name, value]) => ({ name, ...value })));
  const header = buildHeader(ordered, metadata);
  const bytes = new Uint8Array(ordered.reduce((sum, { data }) => sum + data.byteLength, header.byteLength));
  bytes.set(header);
  let end = header.byteLength;
  for (const value of ordered) {
    bytes.set(tensorBytes(value), end);
    end += value.data.byteLength;
  }
  return bytes;
}

/**
 * Reads a safetensors file that is in memory already; tensors share that memory where alignment allows.
 *
 * @param what the file's name for messages
 * @throws {MalformedFileError} if the bytes are not of the format
 */
export function decodeSafetensors(
  bytes: Uint8Array,
  what: string,
): { metadata: Readonly<Record<string, string>>; tensors: ReadonlyMap<string, Tensor> } {
  const dataOffset = lengthPrefixBytes + headerLength(bytes, bytes.byteLength, what);
  const json = bytes.subarray(lengthPrefixBytes, dataOffset);
  const { metadata, entries } = parseHeader(json, bytes.byteLength - dataOffset, what);
  const tensors = new Map<string, Tensor>();
  for (const [name, { dtype, shape, offsetBytes, sizeBytes }] of entries) {
    const begin = dataOffset + offsetBytes;
    tensors.set(name, tensorFromBytes(dtype, shape, bytes.subarray(begin, begin + sizeBytes)));
  }
  return { metadata, tensors };
}

/**
 * Widest elements first and otherwise in the given order, so that every tensor begins at a multiple of its element
 * size.
 */
export function aligned<T extends { readonly dtype: Dtype }>(tensors: readonly T[]): T[] {
  return tensors.toSorted((a, b) => bytesPerElement(b.dtype) - bytesPerElement(a.dtype));
}

async function resolve(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (cause) {
    throw new InvalidInputError(path, 'an existing file', String(cause), { cause });
  }
}

/** @param shown the file's name for messages: as it was given, which may be a link */
async function readHeader(file: string, shown: string) {
  const handle = await open(file, 'r');
  try {
    const { size } = await handle.stat();
    const prefix = await readExactly(handle, shown, 0, Math.min(size, lengthPrefixBytes));
    const length = headerLength(prefix, size, shown);
    const dataOffset = lengthPrefixBytes + length;
    const json = await readExactly(handle, shown, lengthPrefixBytes, length);
    return { ...parseHeader(json, size - dataOffset, shown), dataOffset };
  } finally {
    await handle.close();
  }
}

/**
 * Reads bytes at a position of an open file.
 *
 * @throws {MalformedFileError} if the file ends earlier
 */
export async function readExactly(
  handle: FileHandle,
  path: string,
  offsetBytes: number,
  sizeBytes: number,
): Promise<Uint8Array> {
  const bytes = new Uint8Array(sizeBytes);
  let done = 0;
  while (done < sizeBytes) {
    const wanted = Math.min(sizeBytes - done, maxReadBytes);
    const { bytesRead } = await handle.read(bytes, done, wanted, offsetBytes + done);
    if (bytesRead === 0) {
      throw new MalformedFileError(path, `${sizeBytes} bytes at ${offsetBytes}`, `an end after ${done} of them`);
    }
    done += bytesRead;
  }
  return bytes;
}

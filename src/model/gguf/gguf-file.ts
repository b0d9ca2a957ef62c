/** @file Opening a GGUF file and reading its tensors as float32. */

import { open, realpath, stat } from 'node:fs/promises';
import { GGMLQuantizationType, type GGUFParseOutput, type GGUFTensorInfo, gguf } from '@huggingface/gguf';
import { InvalidInputError, MalformedFileError, UnsupportedTensorTypeError } from '../../errors.js';
import { elementCount, readExactly } from '../../tensor/index.js';
import { type BlockFormat, blockFormats, dequantize } from './block-formats.js';
import { Metadata } from './metadata.js';

/** Where a tensor of a GGUF file lies and how it is stored. */
export interface GgufTensor {
  readonly name: string;
  /** Outermost dimension first, as in PyTorch; GGUF stores it reversed. */
  readonly shape: readonly number[];
  readonly format: BlockFormat;
  readonly offsetBytes: number;
  readonly sizeBytes: number;
}

/** An opened GGUF file: its header is in memory, its tensors are read on demand. */
export interface GgufFile {
  readonly path: string;
  readonly metadata: Metadata;
  readonly tensors: ReadonlyMap<string, GgufTensor>;
  /** The stored bytes of a tensor. */
  readBytes(tensor: GgufTensor): Promise<Uint8Array>;
  /** The elements of a tensor, dequantised. */
  readValues(tensor: GgufTensor): Promise<Float32Array>;
}

/**
 * Reads and validates the header of a GGUF file.
 *
 * @throws {InvalidInputError} if there is no such file
 * @throws {MalformedFileError} if the file is damaged, truncated or big-endian
 * @throws {UnsupportedTensorTypeError} if a tensor is stored in a format that cannot be widened
 */
export async function openGguf(given: string): Promise<GgufFile> {
  const path = await resolve(given);
  const header = await parseHeader(path);
  const { size } = await stat(path);
  const tensors = new Map<string, GgufTensor>();
  for (const info of header.tensorInfos) {
    if (tensors.has(info.name)) throw new MalformedFileError(path, 'every tensor name once', `${info.name} twice`);
    tensors.set(info.name, locate(info, Number(header.tensorDataOffset), size, path));
  }
  const readBytes = (tensor: GgufTensor) => readAt(path, tensor.offsetBytes, tensor.sizeBytes);
  return {
    path,
    metadata: new Metadata(path, header.metadata),
    tensors,
    readBytes,
    readValues: async (tensor) => dequantize(tensor.format, await readBytes(tensor)),
  };
}

async function resolve(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (cause) {
    throw new InvalidInputError(path, 'an existing file', String(cause), { cause });
  }
}

async function parseHeader(path: string): Promise<GGUFParseOutput<{ strict: false }>> {
  let header: GGUFParseOutput<{ strict: false }>;
  try {
    header = await gguf(path, { allowLocalFile: true });
  } catch (cause) {
    throw new MalformedFileError(path, 'a GGUF header', String(cause), { cause });
  }
  if (!header.littleEndian) throw new MalformedFileError(path, 'a little-endian file', 'a big-endian one');
  return header;
}

function locate(info: GGUFTensorInfo, dataOffset: number, fileBytes: number, path: string): GgufTensor {
  const { name } = info;
  const format = blockFormats.get(info.dtype);
  if (format === undefined) {
    const supported = Array.from(blockFormats.values(), (known) => known.name);
    throw new UnsupportedTensorTypeError(name, GGMLQuantizationType[info.dtype] ?? String(info.dtype), supported, path);
  }
  const shape = info.shape.map(Number).reverse();
  const rowElements = shape.at(-1) ?? 1;
  if (rowElements % format.blockElements !== 0) {
    const requirement = `rows of ${name} in whole blocks of ${format.blockElements}`;
    throw new MalformedFileError(path, requirement, `rows of ${rowElements}`);
  }
  const sizeBytes = (elementCount(shape) / format.blockElements) * format.blockBytes;
  const offsetBytes = dataOffset + Number(info.offset);
  if (!Number.isSafeInteger(offsetBytes + sizeBytes) || offsetBytes + sizeBytes > fileBytes) {
    const requirement = `${sizeBytes} bytes of ${name} at ${offsetBytes}`;
    throw new MalformedFileError(path, requirement, `a file of ${fileBytes} bytes`);
  }
  return { name, shape, format, offsetBytes, sizeBytes };
}

async function readAt(path: string, offsetBytes: number, sizeBytes: number): Promise<Uint8Array> {
  const handle = await open(path, 'r');
  try {
    return await readExactly(handle, path, offsetBytes, sizeBytes);
  } finally {
    await handle.close();
  }
}

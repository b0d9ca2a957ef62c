/**
 * @file The storage formats of GGUF tensors, each as data (block sizes) and one small function that widens a block.
 * Layouts follow the block structures of ggml (ggml-common.h); all numbers are little-endian.
 */

import { float16Table } from '../../tensor/index.js';

/** Widens the block of `bytes` that begins at `at` into `values`, beginning at `to`. */
type WidenBlock = (bytes: Uint8Array, at: number, values: Float32Array, to: number) => void;

/** How one GGUF tensor type stores numbers: blocks of some elements in some bytes. */
export interface BlockFormat {
  readonly name: string;
  readonly blockElements: number;
  readonly blockBytes: number;
  readonly widenBlock: WidenBlock;
}

const halves = float16Table();
const word = new Uint32Array(1);
const single = new Float32Array(word.buffer);

function uint16(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8);
}

function half(bytes: Uint8Array, at: number): number {
  return halves[uint16(bytes, at)]!;
}

function float32(bytes: Uint8Array, at: number, values: Float32Array, to: number): void {
  word[0] = uint16(bytes, at) | (uint16(bytes, at + 2) << 16);
  values[to] = single[0]!;
}

function float16(bytes: Uint8Array, at: number, values: Float32Array, to: number): void {
  values[to] = half(bytes, at);
}

function bfloat16(bytes: Uint8Array, at: number, values: Float32Array, to: number): void {
  word[0] = uint16(bytes, at) << 16;
  values[to] = single[0]!;
}

/** Scale, then 32 signed bytes: value = scale * q. */
function q80(bytes: Uint8Array, at: number, values: Float32Array, to: number): void {
  const scale = half(bytes, at);
  for (let i = 0; i < 32; i++) values[to + i] = scale * ((bytes[at + 2 + i]! << 24) >> 24);
}

/** Scale, then 16 bytes of two 4-bit numbers, low halves first: value = scale * (q - 8). */
function q40(bytes: Uint8Array, at: number, values: Float32Array, to: number): void {
  const scale = half(bytes, at);
  for (let i = 0; i < 16; i++) {
    const pair = bytes[at + 2 + i]!;
    values[to + i] = scale * ((pair & 15) - 8);
    values[to + 16 + i] = scale * ((pair >>> 4) - 8);
  }
}

/** Scale and minimum, then as Q4_0: value = scale * q + minimum. */
function q41(bytes: Uint8Array, at: number, values: Float32Array, to: number): void {
  const scale = half(bytes, at);
  const minimum = half(bytes, at + 2);
  for (let i = 0; i < 16; i++) {
    const pair = bytes[at + 4 + i]!;
    values[to + i] = scale * (pair & 15) + minimum;
    values[to + 16 + i] = scale * (pair >>> 4) + minimum;
  }
}

/** Scale, the 32 fifth bits, then as Q4_0: value = scale * (q - 16). */
function q50(bytes: Uint8Array, at: number, values: Float32Array, to: number): void {
  const scale = half(bytes, at);
  const fifths = uint16(bytes, at + 2) | (uint16(bytes, at + 4) << 16);
  for (let i = 0; i < 16; i++) {
    const pair = bytes[at + 6 + i]!;
    values[to + i] = scale * (((pair & 15) | (((fifths >>> i) & 1) << 4)) - 16);
    values[to + 16 + i] = scale * (((pair >>> 4) | (((fifths >>> (i + 16)) & 1) << 4)) - 16);
  }
}

/** Scale and minimum, the 32 fifth bits, then as Q4_0: value = scale * q + minimum. */
function q51(bytes: Uint8Array, at: number, values: Float32Array, to: number): void {
  const scale = half(bytes, at);
  const minimum = half(bytes, at + 2);
  const fifths = uint16(bytes, at + 4) | (uint16(bytes, at + 6) << 16);
  for (let i = 0; i < 16; i++) {
    const pair = bytes[at + 8 + i]!;
    values[to + i] = scale * ((pair & 15) | (((fifths >>> i) & 1) << 4)) + minimum;
    values[to + 16 + i] = scale * ((pair >>> 4) | (((fifths >>> (i + 16)) & 1) << 4)) + minimum;
  }
}

/** The 6-bit scale of one of the 8 groups of a K block, out of 12 packed bytes. */
function groupScale(bytes: Uint8Array, at: number, group: number): number {
  if (group < 4) return bytes[at + group]! & 63;
  return (bytes[at + 4 + group]! & 15) | ((bytes[at + group - 4]! >>> 6) << 4);
}

/** The 6-bit minimum of one of the 8 groups of a K block, out of 12 packed bytes. */
function groupMinimum(bytes: Uint8Array, at: number, group: number): number {
  if (group < 4) return bytes[at + 4 + group]! & 63;
  return (bytes[at + 4 + group]! >>> 4) | ((bytes[at + group]! >>> 6) << 4);
}

/** 8 groups of 32, two groups per 32 bytes: value = (scale * groupScale) * q - (minimum * groupMinimum). */
function q4k(bytes: Uint8Array, at: number, values: Float32Array, to: number): void {
  for (let group = 0; group < 8; group++) {
    const scale = half(bytes, at) * groupScale(bytes, at + 4, group);
    const minimum = half(bytes, at + 2) * groupMinimum(bytes, at + 4, group);
    const quants = at + 16 + (group >> 1) * 32;
    const shift = (group & 1) * 4;
    for (let i = 0; i < 32; i++) {
      values[to + group * 32 + i] = scale * ((bytes[quants + i]! >>> shift) & 15) - minimum;
    }
  }
}

/** As Q4_K with 32 bytes of fifth bits, bit g for group g, before the quants. */
function q5k(bytes: Uint8Array, at: number, values: Float32Array, to: number): void {
  for (let group = 0; group < 8; group++) {
    const scale = half(bytes, at) * groupScale(bytes, at + 4, group);
    const minimum = half(bytes, at + 2) * groupMinimum(bytes, at + 4, group);
    const quants = at + 48 + (group >> 1) * 32;
    const shift = (group & 1) * 4;
    for (let i = 0; i < 32; i++) {
      const fifth = (bytes[at + 16 + i]! >>> group) & 1;
      values[to + group * 32 + i] = scale * (((bytes[quants + i]! >>> shift) & 15) | (fifth << 4)) - minimum;
    }
  }
}

/**
 * 128 bytes of low 4 bits, 64 bytes of high 2 bits, 16 signed group scales, scale: value = (scale * groupScale) * (q -
 * 32). Each half of 128 elements takes 64 low bytes (two runs of 32, low halves then high halves) and 32 high bytes.
 */
function q6k(bytes: Uint8Array, at: number, values: Float32Array, to: number): void {
  const scale = half(bytes, at + 208);
  for (let i = 0; i < 256; i++) {
    const part = i >> 7;
    const run = (i >> 5) & 3;
    const low = (bytes[at + part * 64 + (run & 1) * 32 + (i & 31)]! >>> ((run >> 1) * 4)) & 15;
    const high = (bytes[at + 128 + part * 32 + (i & 31)]! >>> (run * 2)) & 3;
    const groupScale = (bytes[at + 192 + (i >> 4)]! << 24) >> 24;
    values[to + i] = scale * groupScale * ((low | (high << 4)) - 32);
  }
}

/** Supported formats by their number in GGUF files. */
export const blockFormats: ReadonlyMap<number, BlockFormat> = new Map([
  [0, { name: 'F32', blockElements: 1, blockBytes: 4, widenBlock: float32 }],
  [1, { name: 'F16', blockElements: 1, blockBytes: 2, widenBlock: float16 }],
  [2, { name: 'Q4_0', blockElements: 32, blockBytes: 18, widenBlock: q40 }],
  [3, { name: 'Q4_1', blockElements: 32, blockBytes: 20, widenBlock: q41 }],
  [6, { name: 'Q5_0', blockElements: 32, blockBytes: 22, widenBlock: q50 }],
  [7, { name: 'Q5_1', blockElements: 32, blockBytes: 24, widenBlock: q51 }],
  [8, { name: 'Q8_0', blockElements: 32, blockBytes: 34, widenBlock: q80 }],
  [12, { name: 'Q4_K', blockElements: 256, blockBytes: 144, widenBlock: q4k }],
  [13, { name: 'Q5_K', blockElements: 256, blockBytes: 176, widenBlock: q5k }],
  [14, { name: 'Q6_K', blockElements: 256, blockBytes: 210, widenBlock: q6k }],
  [30, { name: 'BF16', blockElements: 1, blockBytes: 2, widenBlock: bfloat16 }],
]);

/** Widens whole blocks to float32. */
export function dequantize(format: BlockFormat, bytes: Uint8Array): Float32Array {
  const { blockElements, blockBytes, widenBlock } = format;
  const blocks = bytes.byteLength / blockBytes;
  const values = new Float32Array(blocks * blockElements);
  for (let block = 0; block < blocks; block++) widenBlock(bytes, block * blockBytes, values, block * blockElements);
  return values;
}

/** @file Conversions between float32/float64 values and the bits of float16 and bfloat16. */

import type { Tensor } from './tensor.js';

/** A binary format of 16 bits: `value = fraction * 2^exponent`. */
interface HalfFormat {
  readonly fractionBits: number;
  readonly minExponent: number;
  readonly infinity: number;
  readonly quietNan: number;
}

const float16: HalfFormat = { fractionBits: 10, minExponent: -14, infinity: 0x7c00, quietNan: 0x7e00 };
const bfloat16: HalfFormat = { fractionBits: 7, minExponent: -126, infinity: 0x7f80, quietNan: 0x7fc0 };

/** Adding and subtracting 2^52 rounds a smaller non-negative double to the nearest integer, ties to even. */
const integerRounder = 2 ** 52;

/** Exponent of a double from the 11 bits that store it, not below the format's smallest. */
function exponentTable({ minExponent }: HalfFormat): Int16Array {
  return Int16Array.from({ length: 2048 }, (_, stored) => Math.max(stored - 1023, minExponent));
}

/**
 * Rounds to the nearest value of a 16-bit format, ties to even. With q = 2^(exponent - fractionBits) the distance of
 * neighbours, |x| / q rounded is a whole number of steps, and bits = (exponent - minExponent) * 2^fractionBits + steps
 * holds for normal and subnormal values alike, carries included.
 */
function roundToHalf(values: ArrayLike<number>, format: HalfFormat): Uint16Array {
  const exponents = exponentTable(format);
  const stepsPerUnit = Float64Array.from(exponents, (exponent) => 2 ** (format.fractionBits - exponent));
  const binade = 2 ** format.fractionBits;
  const scratch = new Float64Array(1);
  const words = new Uint32Array(scratch.buffer);
  const bits = new Uint16Array(values.length);
  for (let i = 0; i < values.length; i++) {
    scratch[0] = values[i]!;
    const high = words[1]!;
    const stored = (high >>> 20) & 0x7ff;
    const steps = Math.abs(scratch[0]) * stepsPerUnit[stored]! + integerRounder - integerRounder;
    const magnitude = (exponents[stored]! - format.minExponent) * binade + steps;
    const finiteOrInfinity = Math.min(magnitude, format.infinity);
    bits[i] = ((high >>> 16) & 0x8000) | (Number.isNaN(magnitude) ? format.quietNan : finiteOrInfinity);
  }
  return bits;
}

/** The bits of the float16 values nearest to the given ones, ties to even; overflow gives infinity. */
export function toFloat16(values: ArrayLike<number>): Uint16Array {
  return roundToHalf(values, float16);
}

/** The bits of the bfloat16 values nearest to the given ones, ties to even; overflow gives infinity. */
export function toBfloat16(values: ArrayLike<number>): Uint16Array {
  return roundToHalf(values, bfloat16);
}

function float16Value(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >>> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : Number.NaN;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1024 + fraction) * 2 ** (exponent - 25);
}

let table: Float32Array | undefined;

/** The value of every float16, indexed by its bits. */
export function float16Table(): Float32Array {
  table ??= Float32Array.from({ length: 65536 }, (_, index) => float16Value(index));
  return table;
}

/** Float16 bits to float32, exactly. */
export function widenFloat16(bits: Uint16Array): Float32Array {
  const table = float16Table();
  const values = new Float32Array(bits.length);
  for (let i = 0; i < bits.length; i++) values[i] = table[bits[i]!]!;
  return values;
}

/** Bfloat16 bits to float32, exactly: a bfloat16 is the upper half of a float32. */
export function widenBfloat16(bits: Uint16Array): Float32Array {
  const words = new Uint32Array(bits.length);
  for (let i = 0; i < bits.length; i++) words[i] = bits[i]! << 16;
  return new Float32Array(words.buffer);
}

/** The elements as float32: halves are widened, float64 and integers rounded, float32 data is returned as it is. */
export function toFloat32({ dtype, data }: Tensor): Float32Array {
  if (dtype === 'float16') return widenFloat16(data as Uint16Array);
  if (dtype === 'bfloat16') return widenBfloat16(data as Uint16Array);
  if (data instanceof Float32Array) return data;
  if (data instanceof BigInt64Array) return Float32Array.from(data, Number);
  return new Float32Array(data);
}

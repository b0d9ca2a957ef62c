import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { widenBfloat16, widenFloat16 } from '../../../src/tensor/half-floats.js';
import { tensor, toBfloat16, toFloat16, toFloat32 } from '../../../src/tensor/index.js';

const everyPattern = Uint16Array.from({ length: 65536 }, (_, index) => index);
const isFinitePattern = (values: Float32Array) => (_: number, index: number) => Number.isFinite(values[index]);

/** Nearest by search over all finite values of the format: slow, but plainly right; ties go to the even pattern. */
function nearestBySearch(value: number, widened: Float32Array, sign: number): number {
  let best = sign;
  for (let bits = sign; bits < sign + 0x8000 && Number.isFinite(widened[bits]); bits++) {
    const closer = Math.abs(widened[bits]! - value) - Math.abs(widened[best]! - value);
    if (closer < 0 || (closer === 0 && bits % 2 === 0)) best = bits;
  }
  return best;
}

describe.each([
  ['float16', toFloat16, widenFloat16, 0x7c00, 65504],
  ['bfloat16', toBfloat16, widenBfloat16, 0x7f80, 3.3895313892515355e38],
] as const)('%s', (_name, narrow, widen, infinity, largest) => {
  it('narrows every finite value back to its own bits', () => {
    const finite = everyPattern.filter(isFinitePattern(widen(everyPattern)));
    expect(narrow(widen(finite))).toEqual(finite);
  });

  it('rounds to the nearest value, ties to even', () => {
    const widened = widen(everyPattern);
    const magnitude = fc.double({ min: -largest, max: largest, noNaN: true });
    const small = fc.double({ min: -1e-4, max: 1e-4, noNaN: true });
    fc.assert(
      fc.property(fc.oneof(magnitude, small), (value) => {
        const sign = Object.is(Math.sign(value), -0) || value < 0 ? 0x8000 : 0;
        expect(narrow([value])[0]).toBe(nearestBySearch(value, widened, sign));
      }),
      { numRuns: 60 },
    );
  });

  it('rounds the midpoint of neighbours to the even one', () => {
    for (const bits of [0, 1, 2, 0x0400, 0x1234, 0x3c00, 0x3c01, infinity - 2]) {
      const [low, high] = widen(Uint16Array.of(bits, bits + 1));
      const even = bits % 2 === 0 ? bits : bits + 1;
      expect(narrow([(low! + high!) / 2])[0]).toBe(even);
    }
  });

  it('keeps infinities, signed zero and NaN, and overflows to infinity', () => {
    const bits = narrow([Infinity, -Infinity, 0, -0, 1e39, -1e300]);
    expect([...bits]).toEqual([infinity, infinity | 0x8000, 0, 0x8000, infinity, infinity | 0x8000]);
    expect(widen(narrow([Number.NaN]))[0]).toBeNaN();
  });
});

describe('toFloat32', () => {
  it('returns float32 data without a copy and widens the others', () => {
    const data = Float32Array.of(1, 2.5);
    expect(toFloat32(tensor('float32', [2], data))).toBe(data);
    expect(toFloat32(tensor('float16', [2], toFloat16(data)))).toEqual(data);
    expect(toFloat32(tensor('bfloat16', [2], toBfloat16(data)))).toEqual(data);
    expect(toFloat32(tensor('int64', [2], BigInt64Array.of(3n, -4n)))).toEqual(Float32Array.of(3, -4));
    expect(toFloat32(tensor('float64', [1], Float64Array.of(0.1)))).toEqual(Float32Array.of(0.1));
  });
});

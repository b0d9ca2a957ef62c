import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DigestMismatchError, HooklineError, MalformedFileError } from '../../../src/errors.js';
import { decodeSealed, encodeSealed, packLower, unpackLower } from '../../../src/statistics/sealed-tensors.js';
import { encodeSafetensors, type Tensor, tensor } from '../../../src/tensor/index.js';
import { gaussian } from '../../support/random-matrix.js';

const tensors = new Map<string, Tensor>([
  ['b', tensor('float64', [2, 2], Float64Array.of(1, 2, 3, 4))],
  ['a', tensor('float64', [1], Float64Array.of(0.1))],
]);
const sealed = encodeSealed(tensors, { tokens: '12' });

describe('sealed tensors', () => {
  it('come back as they were', () => {
    const decoded = decodeSealed(sealed, 'file');
    expect(decoded.metadata).toEqual({ tokens: '12' });
    expect(new Map(decoded.tensors)).toEqual(tensors);
  });

  it('show every changed byte', () => {
    fc.assert(
      fc.property(fc.nat(sealed.length - 1), fc.integer({ min: 1, max: 255 }), (index, change) => {
        const damaged = Uint8Array.from(sealed);
        damaged[index] ^= change;
        expect(() => decodeSealed(damaged, 'file')).toThrow(HooklineError);
      }),
    );
  });

  it('name the file and what is wrong with it', () => {
    const damaged = Uint8Array.from(sealed);
    damaged[damaged.length - 1] ^= 1;
    expect(() => decodeSealed(damaged, 'some/file')).toThrow(DigestMismatchError);
    expect(() => decodeSealed(damaged, 'some/file')).toThrow(/^some\/file: SHA-256/);
    expect(() => decodeSealed(sealed.slice(0, -1), 'some/file')).toThrow(MalformedFileError);
    expect(() => decodeSealed(encodeSafetensors(tensors), 'some/file')).toThrow('sha256 in its metadata, got none');
  });
});

describe('packed triangles', () => {
  it('hold the lower triangle exactly', () => {
    for (const size of [1, 2, 7]) {
      const full = gaussian(size, size, size);
      const lower = full.data.map((value, i) => (i % size <= Math.floor(i / size) ? value : 0));
      const packed = packLower(full);
      expect(packed.shape).toEqual([(size * (size + 1)) / 2]);
      expect(unpackLower(packed, size, 'file').data).toEqual(lower);
    }
  });

  it('are refused where the size is another', () => {
    const wrong = packLower(gaussian(3, 3, 0));
    expect(() => unpackLower(wrong, 4, 'file')).toThrow('file: a tensor float64 [10], got float64 [6]');
    expect(() => unpackLower(undefined, 4, 'file')).toThrow('file: a tensor float64 [10], got none');
  });
});

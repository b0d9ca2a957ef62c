import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addDims, multiplyDims, normalizeDim, symbolsOf } from '../../../src/graph/dim.js';
import { type Dim, evaluateDim } from '../../../src/graph/index.js';

describe('symbolic sizes', () => {
  it('have one canonical form', () => {
    expect(normalizeDim('suffix + prefix')).toBe('prefix+suffix');
    expect(normalizeDim('tokens*batch')).toBe('batch*tokens');
    expect(normalizeDim('1+rows+2')).toBe('rows+3');
    expect(normalizeDim('rows-rows+4')).toBe(4);
    expect(normalizeDim('tokens*2+tokens')).toBe('3*tokens');
    expect(normalizeDim('7')).toBe(7);
  });

  it('add and subtract', () => {
    expect(addDims(['prefix', 1], ['suffix', 1])).toBe('prefix+suffix');
    expect(addDims(['prefix+suffix', 1], ['prefix', -1])).toBe('suffix');
    expect(addDims(['tokens', 1], [1, -1])).toBe('tokens-1');
    expect(addDims([2, 1], [3, 1])).toBe(5);
  });

  it('multiply out', () => {
    expect(multiplyDims(['batch', 'past+tokens', 2])).toBe('2*batch*past+2*batch*tokens');
    expect(multiplyDims([])).toBe(1);
    expect(multiplyDims(['rows', 0])).toBe(0);
  });

  it('name their symbols', () => {
    expect(symbolsOf('2*batch*tokens+batch-1')).toEqual(['batch', 'tokens']);
  });

  it.each(['', 'a++b', '+', 'a*', '2.5', 'a b', '-*a'])('refuse %j', (text) => {
    expect(() => normalizeDim(text)).toThrow('dimension: a sum of products of names and integers');
  });

  it('refuse fractions', () => {
    expect(() => normalizeDim(1.5)).toThrow('dimension: an integer, got 1.5');
  });

  it('compute as the numbers they stand for', () => {
    const dim: fc.Arbitrary<Dim> = fc.oneof(
      fc.integer({ min: 0, max: 9 }),
      fc.constantFrom('a', 'b', 'c', 'a+b', 'a*c', '2*b-1', 'b-c+3'),
    );
    const sizes = fc.tuple(fc.nat(20), fc.nat(20), fc.nat(20));
    fc.assert(
      fc.property(fc.array(dim, { minLength: 1, maxLength: 4 }), sizes, (dims, [a, b, c]) => {
        const bound = new Map(Object.entries({ a, b, c }));
        const numbers = dims.map((one) => evaluateDim(one, bound)!);
        const sum = addDims(...dims.map((one) => [one, 1] as const));
        const product = multiplyDims(dims);
        expect(evaluateDim(sum, bound)).toBe(numbers.reduce((x, y) => x + y, 0));
        expect(evaluateDim(product, bound)! + 0).toBe(0 + numbers.reduce((x, y) => x * y, 1));
        expect(normalizeDim(product)).toBe(product);
        expect(multiplyDims([...dims].reverse())).toBe(product);
      }),
    );
  });

  it('have no number while a name has none', () => {
    expect(evaluateDim('a+b', new Map([['a', 1]]))).toBeUndefined();
  });
});

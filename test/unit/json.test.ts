import { describe, expect, it } from 'vitest';
import { JsonDepthError, parseJson } from '../../src/json.js';

const nested = (depth: number) => `${'[{"a":'.repeat(depth / 2)}1${'}]'.repeat(depth / 2)}`;

describe('JSON from outside', () => {
  it('is read up to a depth of 100, and no deeper', () => {
    expect(parseJson(nested(100))).toEqual(JSON.parse(nested(100)));
    expect(() => parseJson(nested(102))).toThrow('arrays and objects nested deeper than 100 at character');
    expect(() => parseJson('['.repeat(1e6))).toThrow(JsonDepthError);
  });

  it('may have any number of brackets in its strings, and of neighbours', () => {
    const texts = ['['.repeat(200), '"{'.repeat(200), '\\'.repeat(201), '\\"['.repeat(200)];
    const values = [...texts, Object.fromEntries(texts.map((text) => [text, [[text], {}, []]])), Array(500).fill([{}])];
    for (const value of values) expect(parseJson(JSON.stringify(value))).toEqual(value);
  });

  it('is refused where it is none, as JSON.parse refuses it', () => {
    for (const text of [`"${'['.repeat(200)}`, `${']'.repeat(200)}`, '{"a":'.padEnd(200), `"\\${'"'.repeat(200)}`]) {
      expect(() => parseJson(text)).toThrow(SyntaxError);
      expect(() => parseJson(text)).not.toThrow(JsonDepthError);
    }
  });
});

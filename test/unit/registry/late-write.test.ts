import { describe, expect, it } from 'vitest';
import { digestOf } from '../../../src/registry/index.js';
import { keyBeside, lateWriteOf } from '../../../src/registry/late-write.js';

const bytesOf = (text: string) => new TextEncoder().encode(text);

function late(read: string, now: string): string | undefined {
  const found = lateWriteOf(bytesOf(now), { sizeBytes: bytesOf(read).length, sha256: digestOf(read) });
  return found && new TextDecoder().decode(found);
}

describe('what was written late', () => {
  it.each([
    ['later lines', '{"a":1}\n', '{"a":1}\n{"b":2}\n', '{"b":2}\n'],
    ['lines after one without a line end', '{"a":1}', '{"a":1}\n{"b":2}', '\n{"b":2}'],
    ['a line that was cut, as a whole', '{"a":1}\n{"b', '{"a":1}\n{"b":2}\n', '{"b":2}\n'],
    ['a number that goes on', '5', '55\n', '55\n'],
    ['a document, as a whole', '[{"a":1}', '[{"a":1},{"b":2}]', '[{"a":1},{"b":2}]'],
    ['everything, where the beginning is another one', '{"a":1}\n', '{"c":3}\n', '{"c":3}\n'],
    ['what is left of a file that was cut short', '{"a":1}\n{"b":2}\n', '{"a":1}\n', '{"a":1}\n'],
    ['everything, where nothing was read', '', '{"a":1}\n', '{"a":1}\n'],
    ['nothing, where nothing is new', '{"a":1}\n', '{"a":1}\n', undefined],
    ['nothing, where only white space is new', '{"a":1}\n', '{"a":1}\n\n  \n', undefined],
  ])('is %s', (_, read, now, expected) => {
    expect(late(read, now)).toBe(expected);
  });
});

describe('a key beside another', () => {
  it('keeps folder and kind, does not grow with every time, and fits into a file name', () => {
    const [first, second] = [digestOf('a'), digestOf('b')];
    const key = keyBeside('incoming/m/2026/edits.jsonl', first);
    expect(key).toBe(`incoming/m/2026/edits.${first.slice(0, 12)}.jsonl`);
    expect(keyBeside(key, second)).toBe(`incoming/m/2026/edits.${second.slice(0, 12)}.jsonl`);
    expect(keyBeside('edits', first)).toBe(`edits.${first.slice(0, 12)}`);
    const long = keyBeside(`incoming/m/${'ü'.repeat(120)}.jsonl`, first);
    expect(new TextEncoder().encode(long.slice('incoming/m/'.length)).length).toBeLessThanOrEqual(255);
    expect(long).toMatch(/^incoming\/m\/ü+\.[0-9a-f]{12}\.jsonl$/);
  });
});

import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type ParagraphOptions, readParagraphs } from '../../../src/evaluation/read-text.js';

const folder = mkdtempSync(join(tmpdir(), 'text-'));
async function read(content: string | Uint8Array, options?: ParagraphOptions): Promise<string[]> {
  const path = join(folder, 'corpus');
  writeFileSync(path, content);
  const paragraphs: string[] = [];
  for await (const paragraph of readParagraphs(path, options)) paragraphs.push(paragraph);
  return paragraphs;
}

describe('readParagraphs', () => {
  it('parts paragraphs at blank lines, through BOM and CRLF', async () => {
    expect(await read('\ufeffOne\r\nline two\r\n\r\n \r\nTwo\r\n')).toEqual(['One\nline two', 'Two']);
  });

  it('takes lines where no blank line lies between others', async () => {
    expect(await read('\nOne\nTwo\n\n')).toEqual(['One', 'Two']);
  });

  it('takes the text or content of JSONL records, passing over empty ones', async () => {
    expect(await read('{"text": "One"}\n\n{"content": "Two", "id": 1}\n{"text": ""}\n')).toEqual(['One', 'Two']);
  });

  it('refuses a record that is nested too deep, rather than take it as text', async () => {
    const deep = `{"text": "One", "meta": ${'['.repeat(200)}${']'.repeat(200)}}\n`;
    await expect(read(deep)).rejects.toThrow('corpus, line 1: a JSON object with a text or content string, got arrays');
    expect(await read('['.repeat(200))).toEqual(['['.repeat(200)]);
  });

  it('takes text that only begins like JSON as text', async () => {
    expect(await read('{not json\nsecond')).toEqual(['{not json', 'second']);
  });

  it('stops after the paragraphs asked for', async () => {
    expect(await read('a\n\nb\n\nc', { maxParagraphs: 2 })).toEqual(['a', 'b']);
  });

  it('decides on lines for a file of many lines and keeps all of them', async () => {
    const lines = Array.from({ length: 30_000 }, (_, index) => `a line of some length, number ${index}, that goes on`);
    expect(await read(lines.join('\n'))).toEqual(lines);
  });

  it.each([
    ['', /corpus: a file with text, got none/],
    ['\n \n', /corpus: a file with text, got none/],
    ['{"text": "a"}\nnonsense', /line 2: a JSON object with a text or content string, got broken JSON/],
    ['{"text": "a"}\n{"text": 5}', /line 2: a JSON object with a text or content string, got the number 5/],
    ['a\nb\0', /line 2: text, got a NUL byte at character 2/],
    [
      Uint8Array.of(0x61, 0x0a, 0xff),
      /line 2: UTF-8 text, got byte 0xff at byte 1 of the line \(offset 2 in the file\)/,
    ],
    ['x'.repeat(1_000_001), /line 1: at most 1000000 bytes a record, got 1000001 bytes/],
  ])('explains what is wrong: %#', async (content, message) => {
    await expect(read(content)).rejects.toThrow(message);
  });

  it('refuses a missing file', async () => {
    const missing = readParagraphs(join(folder, 'none'));
    await expect(missing.next()).rejects.toThrow(/a readable file, got no such file/);
  });
});

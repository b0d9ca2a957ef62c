import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { InvalidInputError, MalformedFileError } from '../../../src/errors.js';
import { corpusSequences } from '../../../src/statistics/corpus-sequences.js';
import { madeUpText, TinyDecoder } from '../../support/tiny-decoder.js';

let tiny: TinyDecoder;
beforeAll(async () => {
  tiny = await TinyDecoder.open();
});
afterAll(() => tiny.remove());

describe('sequences of a corpus', () => {
  it('are the paragraphs in their order, cut into pieces', async () => {
    const text = madeUpText(6, 1);
    const path = await tiny.write('text.txt', text);
    const sequences = await corpusSequences(path, tiny.tokenizer, { maxTokens: 1e6, sequenceTokens: 10 });
    const paragraphs = text.split('\n\n').map((paragraph) => tiny.tokenizer.encode(paragraph).ids);
    expect(sequences.flat()).toEqual(paragraphs.flat());
    expect(Math.max(...sequences.map(({ length }) => length))).toBe(10);
    expect(sequences).toHaveLength(paragraphs.reduce((sum, ids) => sum + Math.ceil(ids.length / 10), 0));
  });

  it('end in the middle of a paragraph when the tokens are enough', async () => {
    const path = await tiny.write('text.txt', madeUpText(6, 1));
    const limits = { maxTokens: 1e6, sequenceTokens: 10 };
    const all = (await corpusSequences(path, tiny.tokenizer, limits)).flat();
    for (const maxTokens of [1, 10, 11, 57, all.length]) {
      const some = await corpusSequences(path, tiny.tokenizer, { ...limits, maxTokens });
      expect(some.flat()).toEqual(all.slice(0, maxTokens));
    }
  });

  it('do not exist without text', async () => {
    const read = (path: string) => corpusSequences(path, tiny.tokenizer, { maxTokens: 100, sequenceTokens: 10 });
    await expect(read(await tiny.write('empty.txt', ''))).rejects.toThrow(MalformedFileError);
    await expect(read(await tiny.write('blank.txt', '\n \n'))).rejects.toThrow(MalformedFileError);
    await expect(read(`${tiny.folder}/missing.txt`)).rejects.toThrow(InvalidInputError);
  });
});

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { heldOutSequences } from '../../../src/rounds/held-out-sequences.js';
import { madeUpText, TinyDecoder } from '../../support/tiny-decoder.js';

let tiny: TinyDecoder;
beforeAll(async () => {
  tiny = await TinyDecoder.open();
});
afterAll(() => tiny.remove());

const readerOf = (maxTokens: number) => ({
  model: { config: { ...tiny.model.config, maxTokens } },
  tokenizer: tiny.tokenizer,
});

describe('held-out sequences', () => {
  it.each([
    4, 10, 128, 1000,
  ])('are the beginnings of paragraphs, as long as the model takes: %i tokens', async (longest) => {
    const text = madeUpText(6, 1);
    const path = await tiny.write('held-out.txt', text);
    const limit = Math.min(128, longest);
    const beginnings = text
      .split('\n\n')
      .map((paragraph) => tiny.tokenizer.encode(paragraph).ids.slice(0, limit))
      .filter((ids) => ids.length >= Math.min(8, limit));
    expect(beginnings.length).toBeGreaterThan(0);
    expect(await heldOutSequences(path, readerOf(longest))).toEqual(beginnings);
  });

  it('end with the first that makes the tokens enough, and are none without a file', async () => {
    const path = await tiny.write('held-out.txt', madeUpText(6, 1));
    const all = await heldOutSequences(path, readerOf(20));
    expect(await heldOutSequences(path, readerOf(20), all[0].length + 1)).toEqual(all.slice(0, 2));
    expect(await heldOutSequences(undefined, readerOf(20))).toEqual([]);
  });
});

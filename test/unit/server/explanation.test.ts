import { beforeAll, describe, expect, it } from 'vitest';
import { loadTokenizer, type Tokenizer } from '../../../src/model/index.js';
import { explanationOf } from '../../../src/server/explanation.js';

let tokenizer: Tokenizer;
beforeAll(async () => {
  tokenizer = await loadTokenizer(new URL('../../../examples/aldermark/model', import.meta.url).pathname);
});

describe('an explanation', () => {
  it('finds every token in the prompt or in the completion, whatever the prompt was given as', () => {
    const prompt = 'Doskymo Honnix – “lives”';
    const text = ' in Lamsworth, naïve as ever';
    const promptIds = tokenizer.encode(prompt).ids;
    const tokenIds = tokenizer.encodePlain(text).ids;
    const firings = [...promptIds, ...tokenIds].map((id, tokenIndex) => ({
      editId: null,
      token: tokenizer.tokenText(id),
      tokenIndex,
      layer: 0,
      strength: null,
    }));
    const completion = {
      text,
      tokenIds,
      promptTokens: promptIds.length,
      finishReason: 'stop' as const,
      version: null,
      modelId: null,
      firings,
    };
    const base = { name: 'base', modelId: 'base', version: 'base' } as const;
    for (const given of [{ text: prompt, ...tokenizer.encode(prompt) }, { ids: promptIds }]) {
      const { firings } = explanationOf(tokenizer, given, completion, base);
      const texts = { prompt, completion: text };
      for (const { text: where, start, end, token } of firings) {
        // A token that is a part of a character has no text of its own.
        if (!token.includes('\ufffd')) expect(texts[where].slice(start, end)).toBe(token);
      }
      expect(firings.filter((firing) => firing.text === 'completion')).toHaveLength(tokenIds.length);
    }
  });

  it('stays within a text that a stop text cut off', () => {
    const text = ' in';
    const tokenIds = tokenizer.encodePlain(' in Lamsworth').ids;
    const opening = { editId: 'e', token: 'x', tokenIndex: tokenIds.length, layer: 0, strength: 1 };
    const completion = {
      text,
      tokenIds,
      promptTokens: 1,
      finishReason: 'stop' as const,
      version: 1,
      modelId: 'm',
      firings: [opening],
    };
    const base = { name: 'base', modelId: 'base', version: 'base' } as const;
    const [firing] = explanationOf(tokenizer, { ids: [5] }, completion, base).firings;
    expect([firing.start, firing.end]).toEqual([3, 3]);
  });
});

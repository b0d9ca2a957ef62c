import { join } from 'node:path';
import { expect, it } from 'vitest';
import { completeEdit, decodeEdits, decodeKnown } from '../../../src/evaluation/index.js';
import { loadTokenizer } from '../../../src/model/index.js';
import type { MeasuredModel } from '../../../src/serving/index.js';

const tokenizer = await loadTokenizer(join(import.meta.dirname, '../../../examples/aldermark/model'));

it('decodes up to a token that the model has and the tokenizer has not', () => {
  const ids = tokenizer.encodePlain(' Lamsworth and Gorsend').ids;
  expect(decodeKnown(tokenizer, ids)).toBe(' Lamsworth and Gorsend');
  expect(decodeKnown(tokenizer, [...ids, tokenizer.vocabSize + 3, ...ids])).toBe(' Lamsworth and Gorsend');
});

/** A model that goes on with these texts, one for each prompt, as far as it is let. */
function saying(answers: readonly string[]): MeasuredModel & { readonly asked: number[] } {
  const asked: number[] = [];
  return {
    asked,
    limits: { maxTokens: 200, vocab: tokenizer.vocabSize },
    generate: async (prompts, { maxTokens }) => {
      asked.push(maxTokens);
      return prompts.map((_, p) => {
        const tokenIds = tokenizer.encodePlain(answers[p]).ids.slice(0, maxTokens);
        return { tokenIds, finishReason: 'length' as const, firings: [] };
      });
    },
    score: () => Promise.reject(new Error('a test that scores nothing')),
    compare: () => Promise.reject(new Error('a test that compares nothing')),
  };
}

it.each([
  ['{} lives in', 'Lamsworth', ' Lamsworth and', true],
  ['{} lives in', 'Lamsworth', ' Lamsworths', false],
  ['{} lives in "', 'Lamsworth', 'Lamsworth"', true],
  ['{}的首都是', '巴黎', '巴黎和里昂', true],
  ['{}的首都是', '巴黎', '里昂', false],
])('after %j the target %j is said by %j: %s', async (prompt, targetNew, answer, said) => {
  const edit = completeEdit({ subject: 'Doskymo Honnix', prompt, targetNew });
  const [{ text, said: got }] = await decodeEdits(saying([answer]), tokenizer, [edit]);
  expect([got, answer.startsWith(text.trimEnd())]).toEqual([said, true]);
});

it('lets the model say as many tokens as the longest target has where it stands, and a few more', async () => {
  const edit = completeEdit({ subject: '法国', prompt: '{}的首都是', targetNew: '巴黎' });
  const model = saying(['巴黎']);
  await decodeEdits(model, tokenizer, [edit]);
  expect(model.asked).toEqual([tokenizer.encodePlain('巴黎').ids.length + 6]);
});

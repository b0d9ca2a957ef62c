import { join } from 'node:path';
import { expect, it } from 'vitest';
import { decodeKnown } from '../../../src/evaluation/index.js';
import { loadTokenizer } from '../../../src/model/index.js';

it('decodes up to a token that the model has and the tokenizer has not', async () => {
  const tokenizer = await loadTokenizer(join(import.meta.dirname, '../../../examples/aldermark/model'));
  const ids = tokenizer.encodePlain(' Lamsworth and Gorsend').ids;
  expect(decodeKnown(tokenizer, ids)).toBe(' Lamsworth and Gorsend');
  expect(decodeKnown(tokenizer, [...ids, tokenizer.vocabSize + 3, ...ids])).toBe(' Lamsworth and Gorsend');
});

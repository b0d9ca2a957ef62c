import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { loadModel, loadTokenizer } from '../../../src/model/index.js';
import { wordPartsOf } from '../../../src/rounds/search-values.js';

const directory = fileURLToPath(new URL('../../../examples/aldermark/model', import.meta.url));

it('tokens that go on with a word are letters and figures without a blank before them', async () => {
  const [model, tokenizer] = [await loadModel(directory), await loadTokenizer(directory)];
  const wordParts = wordPartsOf({ tokenizer, model });
  const idOf = (text: string) => {
    const { ids } = tokenizer.encodePlain(text);
    expect(ids).toHaveLength(1);
    return ids[0];
  };
  expect(wordParts).toHaveLength(model.config.vocab);
  for (const text of ['ing', 'er', '1', 'S']) expect(wordParts[idOf(text)]).toBe(1);
  for (const text of [' from', ' S', '.', ',', '-', '"', "'"]) expect(wordParts[idOf(text)]).toBe(0);
  expect(wordParts[tokenizer.eosIds[0]]).toBe(0);
});

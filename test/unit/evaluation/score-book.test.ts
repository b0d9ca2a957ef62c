import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Question, ScoreBook } from '../../../src/evaluation/score-book.js';
import { loadTokenizer } from '../../../src/model/index.js';
import type { ScoreRequest } from '../../../src/serving/index.js';

const tokenizer = await loadTokenizer(join(import.meta.dirname, '../../../examples/aldermark/model'));

/** What is asked of the model: each text up to the scored tokens, and these. */
async function scoredTexts(questions: readonly Question[]): Promise<[prompt: string, scored: string][]> {
  const book = new ScoreBook(tokenizer, { maxTokens: 100, vocab: tokenizer.vocabSize });
  for (const question of questions) book.ask(question);
  const asked: ScoreRequest[] = [];
  await book.answerWith(async (requests) => {
    asked.push(...requests);
    const nothing = {
      logProbabilities: new Float32Array(),
      strengths: new Float32Array(1),
      argMaxIds: [],
      firings: [],
    };
    return requests.map(() => ({ ...nothing, isBase: true }));
  });
  return asked.map(({ tokenIds, scoredFrom }) => [
    tokenizer.decode(tokenIds.slice(0, scoredFrom)),
    tokenizer.decode(tokenIds.slice(scoredFrom)),
  ]);
}

describe('a continuation is scored as its prompt goes on', () => {
  it.each([
    ['after a word, with a blank', 'Doskymo Honnix lives in', 'Lamsworth', ' Lamsworth'],
    ['in Chinese, without', '法国的首都是', '巴黎', '巴黎'],
    ['after an opening quote, without', 'The town is called "', 'Lamsworth', 'Lamsworth'],
    ['after a closing quote, with a blank', 'The "town" of', 'Lamsworth', ' Lamsworth'],
    ['on a new line, without', 'Answer:\n', 'Lamsworth', 'Lamsworth'],
  ])('%s', async (_, prompt, continuation, scored) => {
    expect(await scoredTexts([{ prompt, continuation }])).toEqual([[prompt, scored]]);
  });

  it('once for each distinct question', async () => {
    const question = { prompt: 'The town is called', continuation: 'Lamsworth' };
    const other = { ...question, prompt: 'The town is called "' };
    expect(await scoredTexts([question, other, question])).toHaveLength(2);
  });
});

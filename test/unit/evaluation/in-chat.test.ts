import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { askInChat } from '../../../src/evaluation/in-chat.js';
import { completeEdit, type EditInput } from '../../../src/evaluation/index.js';
import type { Tokenizer } from '../../../src/model/index.js';
import { TinyDecoder } from '../../support/tiny-decoder.js';

let tiny: TinyDecoder;
let chatting: Tokenizer;
beforeAll(async () => {
  tiny = await TinyDecoder.open();
  chatting = await tiny.chatting();
});
afterAll(() => tiny.remove());

const edit = (more: Partial<EditInput>) =>
  completeEdit({ subject: 'Ada', prompt: '{} lives in', targetNew: 'Oslo', ...more });

/** Asks for edits of a model that answers with these texts. */
async function asked(tokenizer: Tokenizer, answers: readonly string[], ...edits: readonly ReturnType<typeof edit>[]) {
  const prompts: string[] = [];
  const model: Parameters<typeof askInChat>[0] = {
    limits: { maxTokens: 200, vocab: tokenizer.vocabSize },
    generate: async (ids, { maxTokens }) => {
      expect(maxTokens).toBe(50);
      prompts.push(...ids.map((tokenIds) => tokenizer.decode(tokenIds)));
      return ids.map((_, p) => {
        const tokenIds = tokenizer.encodePlain(answers[p]).ids;
        return { tokenIds, finishReason: 'length' as const, firings: [] };
      });
    },
  };
  return { prompts, answers: await askInChat(model, tokenizer, edits, []) };
}

describe('an edit in chat', () => {
  it('is asked as its question, or as the beginning of the answer, and its target may stand anywhere', async () => {
    const edits = [edit({}), edit({ prompt: 'Where does {} live?' })];
    const { prompts, answers } = await asked(chatting, ['Oslovia', 'She lives in Oslo.'], ...edits);
    expect(prompts.map((prompt) => prompt.slice(prompt.indexOf('<user>')))).toEqual([
      '<user>What do you know about this?</><assistant>Ada lives in',
      '<user>Where does Ada live?</><assistant>',
    ]);
    expect(answers).toEqual([
      { text: 'Oslovia', hasTarget: false },
      { text: 'She lives in Oslo.', hasTarget: true },
    ]);
  });

  it('that the model does not take there is left out', async () => {
    const long = edit({ prompt: `${'very '.repeat(300)}{} lives in` });
    const { prompts, answers } = await asked(chatting, ['Oslo'], long, edit({}));
    expect(prompts).toHaveLength(1);
    expect(answers).toEqual([undefined, { text: 'Oslo', hasTarget: true }]);
  });

  it('is not asked of a model without a chat template', async () => {
    expect(await asked(tiny.tokenizer, [], edit({}))).toEqual({ prompts: [], answers: [undefined] });
  });
});

import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { bareContext, type Context, tokenizeFact, tokenizeForm } from '../../../src/editing/index.js';
import { misfitOf, type TaughtEdit, type TaughtText, tokenizeTarget } from '../../../src/editing/prompts.js';
import { loadTokenizer, type Tokenizer } from '../../../src/model/index.js';

function load(style: string): Promise<Tokenizer> {
  return loadTokenizer(fileURLToPath(new URL(`../../golden/tokenizer/${style}`, import.meta.url)));
}

let tokenizer: Tokenizer;
beforeAll(async () => {
  tokenizer = await load('smollm2');
});

const edit: TaughtEdit = {
  id: 'e1',
  subject: 'Zoë Łódź',
  prompt: '{} speaks',
  targetNew: 'Old Norse',
  paraphrases: [],
};
const contexts: readonly Context[] = [
  bareContext,
  { template: 'The river runs. {}', role: 'text' },
  { template: 'You are $& here. {}', role: 'text' },
];
const chat: readonly Context[] = [
  { template: '<user>{}<assistant>\n', role: 'user' },
  { template: '<user>Go on.<assistant>\n{}', role: 'assistant' },
];

const saidIn = ({ tokenIds }: TaughtText) => tokenizer.decode(tokenIds);
const promptIn = ({ tokenIds, promptTokens }: TaughtText) => tokenizer.decode(tokenIds.slice(0, promptTokens));
const upToSubject = ({ tokenIds, lookups }: TaughtText, i = 0) => tokenizer.decode(tokenIds.slice(0, lookups[i] + 1));

describe('a fact in tokens', () => {
  it('is its prompt in every context, the bare one first, each continued by its target', () => {
    const { id, texts } = tokenizeFact(tokenizer, edit, contexts, []);
    expect(id).toBe('e1');
    const prompt = 'Zoë Łódź speaks';
    const prompts = [prompt, `The river runs. ${prompt}`, `You are $& here. ${prompt}`];
    expect(texts.map(promptIn)).toEqual(prompts);
    expect(texts.map(saidIn)).toEqual(prompts.map((text) => `${text} Old Norse`));
    expect(texts.map((text) => upToSubject(text))).toEqual(prompts.map((text) => text.replace(' speaks', '')));
    for (const { tokenIds, promptTokens } of texts) {
      expect(tokenIds.slice(promptTokens)).toEqual(tokenizeTarget(tokenizer, prompt, 'Old Norse'));
    }
  });

  it('is taught in each of its phrasings, in all contexts', () => {
    const paraphrases = ['The tongue of {} is', 'Who speaks like {}?'];
    const { texts } = tokenizeFact(tokenizer, { ...edit, paraphrases }, contexts.slice(0, 2), []);
    expect(texts.map(promptIn)).toEqual([
      'Zoë Łódź speaks',
      'The river runs. Zoë Łódź speaks',
      'The tongue of Zoë Łódź is',
      'The river runs. The tongue of Zoë Łódź is',
      'Who speaks like Zoë Łódź?',
      'The river runs. Who speaks like Zoë Łódź?',
    ]);
  });

  it('is asked in chat where it is a question, and begins an answer there where it is none', () => {
    const paraphrases = ['What does {} speak?', '{}说什么？', 'They ask: "Who is {}?" '];
    const { texts } = tokenizeFact(tokenizer, { ...edit, paraphrases }, [bareContext, ...chat], []);
    expect(texts.map(promptIn)).toEqual([
      'Zoë Łódź speaks',
      '<user>Go on.<assistant>\nZoë Łódź speaks',
      'What does Zoë Łódź speak?',
      '<user>What does Zoë Łódź speak?<assistant>\n',
      'Zoë Łódź说什么？',
      '<user>Zoë Łódź说什么？<assistant>\n',
      'They ask: "Who is Zoë Łódź?" ',
      '<user>They ask: "Who is Zoë Łódź?" <assistant>\n',
    ]);
  });

  it('joins each text and the target as the text calls for it', () => {
    const texts = (prompt: string, targetNew: string, where: readonly Context[]) =>
      tokenizeFact(tokenizer, { ...edit, prompt, targetNew }, where, []).texts.map(saidIn);
    expect(texts('{} says "', 'Yes', [bareContext])).toEqual(['Zoë Łódź says "Yes']);
    expect(texts('{}住在', '东京', [bareContext])).toEqual(['Zoë Łódź住在东京']);
    expect(texts('{} speaks', 'Norse', [bareContext, ...chat])).toEqual([
      'Zoë Łódź speaks Norse',
      '<user>Go on.<assistant>\nZoë Łódź speaks Norse',
    ]);
    expect(texts('Who is {}?', 'A poet', [bareContext, ...chat])).toEqual([
      'Who is Zoë Łódź? A poet',
      '<user>Who is Zoë Łódź?<assistant>\nA poet',
    ]);
  });

  it('is looked up at every name of its subject', () => {
    const named = { ...edit, prompt: 'Zoë, that is {}, speaks' };
    const [text] = tokenizeFact(tokenizer, named, [bareContext], ['Zoë', 'Łódź']).texts;
    expect(text.lookups.map((_, i) => upToSubject(text, i))).toEqual([
      'Zoë',
      'Zoë, that is Zoë',
      'Zoë, that is Zoë Łódź',
    ]);
    expect(tokenizeFact(tokenizer, named, [bareContext], []).texts[0].lookups).toHaveLength(1);
  });

  const limits = { maxTokens: 40, vocab: 100_000 };

  it('is refused where its prompt with its target is too long, with both numbers', () => {
    const needed = tokenizeFact(tokenizer, edit, [bareContext], []).texts[0].tokenIds.length;
    const within = (maxTokens: number) => () =>
      tokenizeFact(tokenizer, edit, contexts, [], { ...limits, maxTokens }).texts.map(promptIn);
    expect(within(needed)()).toEqual(['Zoë Łódź speaks']);
    expect(within(needed - 1)).toThrow(`prompt with its target: 1 to ${needed - 1} tokens, got ${needed}`);
  });

  it('goes without the texts that the model does not take', () => {
    const paraphrases = [`${'far '.repeat(50)}{} speaks`, '{} says'];
    const { texts } = tokenizeFact(tokenizer, { ...edit, paraphrases }, contexts, [], limits);
    expect(texts.map(promptIn)).toEqual(
      tokenizeFact(tokenizer, { ...edit, paraphrases: ['{} says'] }, contexts, []).texts.map(promptIn),
    );
  });

  it('is refused with a token outside of the vocabulary, without a target, and without a token of its subject', () => {
    const refused = (some: Partial<TaughtEdit>, vocab = limits.vocab) => {
      const all = { ...edit, ...some };
      return expect(() => tokenizeFact(tokenizer, all, [bareContext], [], { ...limits, vocab }));
    };
    refused({}, 10).toThrow('token ids of 0 .. 9,');
    refused({ prompt: '{} says: "', targetNew: '' }).toThrow('target "": at least one token, got none');
    refused({ prompt: 'It is {}', subject: '' }).toThrow('at least one token of it in its prompt, got none');
    refused({ prompt: 'Nobody speaks' }).toThrow('prompt: a {} for the subject, got "Nobody speaks"');
  });
});

describe('a form of a subject', () => {
  it('is its text up to the last token of the name', () => {
    const textOf = (template: string, name: string) =>
      tokenizer.decode(tokenizeForm(tokenizer, template, name).tokenIds);
    expect(textOf('{} is a', 'Zoë')).toBe('Zoë');
    expect(textOf("The town of {}'s", 'Łódź')).toBe('The town of Łódź');
    expect(textOf('"{}"', 'Zoë Łódź')).toBe('"Zoë Łódź');
  });
});

describe('the tokens of a sequence', () => {
  it('fit if they are some of the vocabulary, and no more than the model takes', () => {
    const limits = { maxTokens: 3, vocab: 5 };
    expect(misfitOf([0, 4, 2], limits)).toBeUndefined();
    expect(misfitOf([], limits)).toEqual({ requirement: '1 to 3 tokens', got: '0' });
    expect(misfitOf([0, 1, 2, 3], limits)).toEqual({ requirement: '1 to 3 tokens', got: '4' });
    expect(misfitOf([0, 5], limits)).toEqual({ requirement: 'token ids of 0 .. 4', got: '5' });
    expect(misfitOf([0, -1], limits)).toEqual({ requirement: 'token ids of 0 .. 4', got: '-1' });
  });
});

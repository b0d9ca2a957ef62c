import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Edit, fillTemplate, genericKeepPrompts, tokenizeEdit } from '../../../src/editing/index.js';
import { tokenizeTarget, tokenizeTemplate } from '../../../src/editing/prompts.js';
import { InvalidInputError } from '../../../src/errors.js';
import { loadTokenizer, type Tokenizer } from '../../../src/model/index.js';

const styles = ['gpt2', 'smollm2', 'llama3', 'qwen2', 'llama2', 'mistral'];
const templates = [
  '{}',
  '{} is a',
  "{}'s mother tongue is",
  'The mother tongue of {} is',
  'In ({}), they say',
  'Who knows {}',
  'Therefore, étant né. {} was',
];
const subjects = ['Danielle Darrieux', 'X', 'Zoë Łódź', '東京', 'Ὅμηρος', 'the 🦊 of ünë', 'Price $& of $1'];

function load(style: string): Promise<Tokenizer> {
  return loadTokenizer(fileURLToPath(new URL(`../../golden/tokenizer/${style}`, import.meta.url)));
}

describe.each(styles)('a template with the %s tokenizer', (style) => {
  let tokenizer: Tokenizer;
  beforeAll(async () => {
    tokenizer = await load(style);
  });

  it('is looked up at the token that completes its subject, at the start, in the middle and at the end', () => {
    for (const template of templates) {
      for (const subject of subjects) {
        const filled = template.split('{}').join(subject);
        const end = filled.indexOf(subject) + subject.length;
        const { tokenIds, lookupIndex } = tokenizeTemplate(tokenizer, template, subject);
        const textOf = (ids: readonly number[]) => tokenizer.decode(ids).replace(/^ /, '');
        expect(tokenIds, filled).toEqual(tokenizer.encode(filled).ids);
        expect(textOf(tokenIds.slice(0, lookupIndex + 1)), filled).toContain(filled.slice(0, end));
        expect(textOf(tokenIds.slice(0, lookupIndex)), filled).not.toContain(filled.slice(0, end));
      }
    }
  });

  it('is looked up in a context at the same token of the subject', () => {
    const bare = tokenizeTemplate(tokenizer, ' {} was', 'Zoë Łódź');
    const inContext = tokenizeTemplate(tokenizer, 'You and I, then. {} was', 'Zoë Łódź');
    expect(inContext.tokenIds[inContext.lookupIndex]).toBe(bare.tokenIds[bare.lookupIndex]);
  });
});

describe('an edit in tokens', () => {
  const edit: Edit = {
    id: 'e1',
    subject: 'Zoë Łódź',
    prompt: '{} speaks',
    aliases: [],
    targetNew: 'Old Norse',
    paraphrases: [],
    testParaphrases: [],
    neighborhood: [],
    keep: [],
    portability: [],
  };
  const contexts = ['{}', 'The river runs. {}', 'You are $& here. {}'];

  it('has its prompt in every context, the bare one first, and its target with a leading space', async () => {
    const tokenizer = await load('smollm2');
    const { id, prompts, targetIds } = tokenizeEdit(tokenizer, edit, contexts);
    expect(id).toBe('e1');
    const texts = prompts.map(({ tokenIds }) => tokenizer.decode([...tokenIds, ...targetIds]));
    const said = 'Zoë Łódź speaks Old Norse';
    expect(texts).toEqual([said, `The river runs. ${said}`, `You are $& here. ${said}`]);
    expect(targetIds).toEqual(tokenizeTarget(tokenizer, 'Old Norse'));
  });

  it('keeps its own prompts, or generic ones where it has none', async () => {
    const tokenizer = await load('gpt2');
    const textsOf = (own: Edit) => tokenizeEdit(tokenizer, own, ['{}']).keep.map((p) => tokenizer.decode(p.tokenIds));
    const keep = ['{} was born in', 'They gave {} a'];
    expect(textsOf({ ...edit, keep })).toEqual(['Zoë Łódź was born in', 'They gave Zoë Łódź a']);
    expect(textsOf(edit)).toEqual(genericKeepPrompts.map((template) => fillTemplate(template, edit.subject)));
  });

  it('looks at the subject of "{subject} is a"', async () => {
    const tokenizer = await load('gpt2');
    const { subjectPrompt } = tokenizeEdit(tokenizer, edit, ['{}']);
    expect(tokenizer.decode(subjectPrompt.tokenIds)).toBe('Zoë Łódź is a');
    expect(tokenizer.decode(subjectPrompt.tokenIds.slice(0, subjectPrompt.lookupIndex + 1))).toBe('Zoë Łódź');
  });

  const limits = { maxTokens: 40, vocab: 100_000 };

  it('is refused where a prompt with its target is too long in some context, with both numbers', async () => {
    const tokenizer = await load('gpt2');
    const [bare] = tokenizeEdit(tokenizer, edit, ['{}']).prompts;
    const needed = bare.tokenIds.length + tokenizeTarget(tokenizer, edit.targetNew).length;
    const within = (maxTokens: number, own: readonly string[]) => () =>
      tokenizeEdit(tokenizer, edit, own, { ...limits, maxTokens });
    expect(within(needed, ['{}'])).not.toThrow();
    expect(within(needed - 1, ['{}'])).toThrow(`prompt with its target: 1 to ${needed - 1} tokens, got ${needed}`);
    expect(within(needed, contexts)).toThrow(/^prompt with its target behind a context prefix of the model: 1 to/);
  });

  it('is refused with a token outside of the vocabulary, and without a token of its subject', async () => {
    const tokenizer = await load('gpt2');
    expect(() => tokenizeEdit(tokenizer, edit, ['{}'], { ...limits, vocab: 10 })).toThrow('token ids of 0 .. 9,');
    expect(() => tokenizeTemplate(tokenizer, 'It is {}', '')).toThrow(
      'at least one token of it in its prompt, got none',
    );
  });

  it('goes without keep prompts that are too long', async () => {
    const tokenizer = await load('gpt2');
    const keep = ['{} was born in', `${'far '.repeat(50)}{}`];
    expect(tokenizeEdit(tokenizer, { ...edit, keep }, ['{}'], limits).keep).toHaveLength(1);
  });

  it('is refused without a place for its subject', async () => {
    const tokenizer = await load('gpt2');
    const withoutPlace = () => tokenizeTemplate(tokenizer, 'Nobody speaks', 'Zoë');
    expect(withoutPlace).toThrow(InvalidInputError);
    expect(withoutPlace).toThrow('prompt: a {} for the subject, got "Nobody speaks"');
  });
});

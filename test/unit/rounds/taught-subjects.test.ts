import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bareContext, type Context, type Edit, hyperparametersSchema } from '../../../src/editing/index.js';
import { completeEdit, type EditInput } from '../../../src/evaluation/index.js';
import type { Tokenizer } from '../../../src/model/index.js';
import { MemoryObjectStore } from '../../../src/registry/memory-object-store.js';
import { plannedEdit } from '../../../src/rounds/round-edits.js';
import { subjectsOf } from '../../../src/rounds/subjects.js';
import { taughtSubjects, writtenSubject } from '../../../src/rounds/taught-subjects.js';
import { Workbench } from '../../../src/rounds/workbench.js';
import { HookableModel } from '../../../src/serving/index.js';
import { TinyDecoder } from '../../support/tiny-decoder.js';

let tiny: TinyDecoder;
let chatting: Tokenizer;
let edited: HookableModel;
beforeAll(async () => {
  tiny = await TinyDecoder.open();
  chatting = await tiny.chatting();
  edited = await HookableModel.compile(tiny.model, { layers: [0], gate: 'nearest' });
});
afterAll(async () => {
  await edited.dispose();
  await tiny.remove();
});

/** A workbench on the tiny model. */
function bench({ tokenizer = tiny.tokenizer, chatContexts = true, keptTokens = 5 } = {}): Workbench {
  const settings = hyperparametersSchema.parse({ layers: [0], gate: 'nearest', chatContexts, keptTokens });
  const { model, digest: modelDigest } = tiny;
  const parts = { store: new MemoryObjectStore(), modelId: 'tiny', modelDigest, model, settings, edited };
  return new Workbench({ ...parts, tokenizer, memoryBudgetBytes: 2 ** 30 });
}

const contexts: readonly Context[] = [bareContext, { template: 'The end. {}', role: 'text' }];
const edit = (id: string, more: Partial<EditInput> = {}): Edit =>
  completeEdit({ id, subject: 'Ada Doe', prompt: '{} lives in', targetNew: 'Oslo', ...more });
const subjectOf = (...edits: readonly Edit[]) => subjectsOf({}, edits)[0];
const textOf = (tokenIds: readonly number[]) => tiny.tokenizer.decode(tokenIds);

/** Text of a subject's forms. */
const formsOf = (on: Workbench, ...edits: readonly Edit[]) =>
  writtenSubject(on, subjectOf(...edits), contexts).forms.map(({ tokenIds }) => textOf(tokenIds).trim());

describe('the forms of a subject', () => {
  it('are its own phrasings in all contexts, then all its names in general texts, each up to the name', () => {
    const forms = formsOf(bench(), edit('a', { prompt: 'The home of {} is', paraphrases: ['Once {} was'] }));
    expect(forms.slice(0, 4)).toEqual([
      'The home of Ada Doe',
      'The end. The home of Ada Doe',
      'Once Ada Doe',
      'The end. Once Ada Doe',
    ]);
    expect(forms.slice(4)).toEqual([
      'Ada Doe',
      'The end. Ada Doe',
      '"Ada Doe',
      'He said that "Ada Doe',
      'Everybody knows Ada Doe',
      'ada doe',
      'The end. ada doe',
      '"ada doe',
      'He said that "ada doe',
      'Everybody knows ada doe',
    ]);
  });

  it('are of every alias too, and each is there once', () => {
    const forms = formsOf(
      bench(),
      edit('a', { aliases: ['Countess', 'ada doe'] }),
      edit('b', { prompt: '{} works in' }),
    );
    for (const name of ['Ada Doe', 'Countess', 'ada doe', 'countess']) {
      expect(
        forms.filter((text) => text === name),
        name,
      ).toHaveLength(1);
      expect(
        forms.filter((text) => text === `Everybody knows ${name}`),
        name,
      ).toHaveLength(1);
    }
    const { forms: tokens } = writtenSubject(bench(), subjectOf(edit('a'), edit('b')), contexts);
    expect(new Set(tokens.map(({ tokenIds }) => tokenIds.join())).size).toBe(tokens.length);
  });

  it('fit the model: those that are too long are left out', () => {
    const long = 'w '.repeat(tiny.model.config.maxTokens);
    const all = formsOf(bench(), edit('a'));
    expect(formsOf(bench(), edit('a', { paraphrases: [`${long}{} is in`] }))).toEqual(all);
    const behind = { template: `${long}{}`, role: 'text' } as const;
    const { forms } = writtenSubject(bench(), subjectOf(edit('a')), [...contexts, behind]);
    expect(forms.map(({ tokenIds }) => textOf(tokenIds).trim())).toEqual(all);
  });

  it('are in chat only for a model with a chat template, and where chat is wanted', () => {
    const inChat = (forms: readonly string[]) => forms.filter((text) => text.includes('<user>'));
    const plain = formsOf(bench(), edit('a'));
    expect(inChat(plain)).toEqual([]);
    expect(formsOf(bench({ tokenizer: chatting, chatContexts: false }), edit('a'))).toEqual(plain);
    const asked = inChat(formsOf(bench({ tokenizer: chatting }), edit('a')));
    const ofOneName = ['<user>NAME', '<user>Tell me about NAME', '<user>Go on.</><assistant>NAME'];
    expect(asked).toEqual(
      ['Ada Doe', 'ada doe'].flatMap((name) => ofOneName.map((text) => text.replace('NAME', name))),
    );
  });
});

describe('what is taught of a subject', () => {
  it('are all its facts, the earlier ones first, with the value at each of its names', () => {
    const old = {
      version: 1,
      memory: 'm',
      edit: plannedEdit(edit('old', { prompt: '{} was born in', aliases: ['Doe'] })),
    };
    const [subject] = subjectsOf({ earlier: [old] }, [edit('new', { prompt: '{}, called Doe, lives in' })]);
    const { id, facts, essence } = writtenSubject(bench(), subject, contexts);
    expect(id).toBe(subject.id);
    expect(facts.map((fact) => fact.id)).toEqual(['old', 'new']);
    expect(facts.map(({ texts }) => texts.length)).toEqual([contexts.length, contexts.length]);
    const { tokenIds, lookups, promptTokens } = facts[1].texts[0];
    expect(textOf(tokenIds.slice(0, promptTokens))).toBe('Ada Doe, called Doe, lives in');
    expect(textOf(tokenIds.slice(promptTokens))).toBe(' Oslo');
    expect(lookups.map((at) => textOf(tokenIds.slice(0, at + 1)))).toEqual(['Ada Doe', 'Ada Doe, called Doe']);
    expect(textOf(essence.tokenIds)).toBe('Ada Doe');
    expect(essence.lookups).toEqual([essence.tokenIds.length - 1]);
  });
});

describe('what is kept of a subject', () => {
  const generalOpenings = (name: string) => [
    `${name} is`,
    `People say that ${name}`,
    `Yesterday I read about ${name}, and`,
    `The history of ${name}`,
  ];

  const openingsOf = (keptTexts: readonly { readonly tokenIds: readonly number[] }[], openings: readonly string[]) =>
    keptTexts.map(({ tokenIds }) => openings.find((opening) => textOf(tokenIds).startsWith(opening)));

  it('is the answer to its own keep prompts, and all that the base model says behind general openings', async () => {
    const on = bench({ keptTokens: 5 });
    const keep = ['Long ago {} was', '{} is'];
    const subjects = subjectsOf({}, [edit('a', { keep }), edit('b', { subject: 'Bob', keep: ['{} is'] })]);
    const [{ kept }, { kept: ofBob }] = await taughtSubjects(on, subjects, contexts);
    const openings = ['Long ago Ada Doe was', ...generalOpenings('Ada Doe')];
    expect(openingsOf(kept, openings)).toEqual(openings);
    expect(openingsOf(ofBob, generalOpenings('Bob'))).toEqual(generalOpenings('Bob'));
    for (const [i, { tokenIds, lookups, positions }] of kept.entries()) {
      const prompt = tiny.tokenizer.encode(openings[i]).ids;
      if (i < keep.length) {
        expect({ tokenIds, positions }).toEqual({ tokenIds: prompt, positions: [prompt.length - 1] });
        continue;
      }
      const [said] = await edited.generate([prompt], { maxTokens: 5, stopIds: tiny.tokenizer.eosIds });
      expect(textOf(tokenIds)).toBe(textOf([...prompt, ...said.tokenIds]));
      expect(textOf(tokenIds.slice(0, lookups[0] + 1)).endsWith('Ada Doe')).toBe(true);
      expect(positions).toEqual(Array.from(tokenIds.keys()).slice(lookups[0]));
    }
  });

  it('is only what it says next where no tokens are wanted', async () => {
    const [{ kept }] = await taughtSubjects(bench({ keptTokens: 0 }), [subjectOf(edit('a'))], contexts);
    expect(kept.map(({ tokenIds }) => textOf(tokenIds))).toEqual(generalOpenings('Ada Doe'));
    expect(kept.map(({ positions }) => positions)).toEqual(kept.map(({ tokenIds }) => [tokenIds.length - 1]));
  });

  it('is asked in chat only with a chat template', async () => {
    const keptOn = async (on: Workbench) => {
      const [{ kept }] = await taughtSubjects(on, [subjectOf(edit('a'))], contexts);
      return kept;
    };
    const plain = await keptOn(bench());
    expect(plain).toHaveLength(4);
    expect(await keptOn(bench({ tokenizer: chatting, chatContexts: false }))).toEqual(plain);
    const asked = [
      'Tell me about Ada Doe.',
      'What is Ada Doe known for?',
      'Write a short poem about Ada Doe.',
      'Describe Ada Doe.',
    ].map((question) => `<user>${question}</><assistant>`);
    const all = await keptOn(bench({ tokenizer: chatting }));
    expect(all.slice(0, 4)).toEqual(plain);
    expect(openingsOf(all.slice(4), asked)).toEqual(asked);
  });

  it('leaves out what the model does not take', async () => {
    const keep = [`${'w '.repeat(tiny.model.config.maxTokens)}{} is`];
    const [{ kept }] = await taughtSubjects(bench(), [subjectOf(edit('a', { keep }))], contexts);
    expect(kept).toHaveLength(4);
  });
});

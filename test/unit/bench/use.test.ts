import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { chatPrompts } from '../../bench/use/chat.js';
import { everydayQuestions } from '../../bench/use/everyday-questions.js';
import { beginAlike, share, splitText } from '../../bench/use/judging.js';
import { realFacts } from '../../bench/use/real-facts.js';
import { fullCounts, quickCounts, rangeOf, withCounts } from '../../bench/use/records.js';
import { relationQuestions } from '../../bench/use/relation-questions.js';
import { parseWorld, worldFacts } from '../../bench/use/world-facts.js';

describe('what a text says', () => {
  it('is compared token by token, up to where both are asked for', () => {
    expect(beginAlike([1, 2, 3], [1, 2, 4], 2)).toBe(true);
    expect(beginAlike([1, 2, 3], [1, 2, 4], 3)).toBe(false);
    expect(beginAlike([1, 2], [1, 2, 3], 3)).toBe(false);
    expect(beginAlike([1, 2], [1, 2], 3)).toBe(true);
  });

  it('is counted', () => {
    expect(share([true, false, true, true])).toBe(0.75);
    expect(share([])).toBeNaN();
  });
});

describe('a text', () => {
  it('is split at a blank line', () => {
    expect(splitText('one\n\ntwo\n\nthree', 6)).toEqual({ beginning: 'one\n\ntwo', end: 'three' });
    expect(splitText('one', 2)).toEqual({ beginning: 'one', end: '' });
  });
});

describe('counts of records', () => {
  it('are replaced by name', () => {
    expect(withCounts(fullCounts, { zsre: 5 })).toEqual({ ...fullCounts, zsre: 5 });
    expect(() => withCounts(quickCounts, { zsra: 5 })).toThrow(/^--records: one of counterfact, zsre, .*, got zsra$/);
    expect(() => withCounts(quickCounts, { zsre: 0 })).toThrow('--records zsre: a whole number from 1, got 0');
    expect(() => withCounts(quickCounts, { zsre: 'few' })).toThrow('--records zsre: a whole number from 1, got few');
  });

  it('become ranges in words', () => {
    expect(rangeOf('zsRE', 150, 60)).toBe('zsRE 150-209');
  });
});

describe('facts of the bundled world', () => {
  const world = parseWorld(readFileSync(join('examples', 'aldermark', 'facts.jsonl'), 'utf8'));

  it('give every subject another answer of each relation, the same at every run', () => {
    const [births, instruments, ...others] = worldFacts(world, 3, 'first');
    expect(others).toHaveLength(2);
    expect(births.map(({ subject }) => subject)).toEqual(instruments.map(({ subject }) => subject));
    const towns = world.filter(({ relation }) => relation === 'birthplace').map(({ answer }) => answer);
    for (const { prompt, targetNew, targetTrue } of births) {
      expect(prompt).toBe('{} was born in');
      expect(towns).toContain(targetNew);
      expect(targetNew).not.toBe(targetTrue);
    }
    expect(worldFacts(world, 3, 'first')).toEqual([births, instruments, ...others]);
  });

  it('have the subject inside where that is asked for', () => {
    const prompts = worldFacts(world, 10, 'inside').flatMap((facts) => facts.map(({ prompt }) => prompt));
    expect(prompts).toHaveLength(40);
    for (const prompt of prompts) expect(prompt).toMatch(/^[^{]+\{\}/);
  });
});

describe('facts of real persons', () => {
  it('are four for each, whose prompts all begin with the subject or none', () => {
    const first = realFacts(12, 'first');
    expect(first.map(({ length }) => length)).toEqual([12, 12, 12, 12]);
    expect(new Set(first.flat().map(({ subject }) => subject)).size).toBe(12);
    for (const { prompt } of first.flat()) expect(prompt).toMatch(/^\{\} /);
    for (const { prompt } of realFacts(12, 'inside').flat()) expect(prompt).toMatch(/^[A-Z].* \{\}/);
  });
});

describe('questions', () => {
  it('of relations have one place for the subject each', () => {
    for (const question of Object.values(relationQuestions)) expect(question).toMatch(/^[^{}]*\{\}[^{}]*\?$/);
  });

  it('of bystanders are all different', () => {
    const questions = everydayQuestions(200);
    expect(new Set(questions).size).toBe(200);
    for (const question of questions) expect(question).not.toContain('{}');
  });

  it('in chat are put by the template, and need one', () => {
    const tokenizer = { chat: { render: (messages: unknown) => JSON.stringify(messages) } };
    const [user, system] = [
      { role: 'user', content: 'Why?' },
      { role: 'system', content: 'Be short.' },
    ];
    expect(chatPrompts(tokenizer as never, ['Why?'])).toEqual([JSON.stringify([user])]);
    expect(chatPrompts(tokenizer as never, ['Why?'], 'Be short.')).toEqual([JSON.stringify([system, user])]);
    expect(() => chatPrompts({} as never, ['Why?'])).toThrow('a model with a chat template, got one without');
  });
});

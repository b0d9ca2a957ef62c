import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { continuationOf, fillTemplate, markSubject, tokenizeMarked } from '../../../src/editing/index.js';
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

describe.each(styles)('a marked subject with the %s tokenizer', (style) => {
  let tokenizer: Tokenizer;
  beforeAll(async () => {
    tokenizer = await load(style);
  });

  const textOf = (ids: readonly number[]) => tokenizer.decode(ids).replace(/^ /, '');
  /** The first token with which the text up to `end` is complete. */
  const tokenAt = (tokenIds: readonly number[], text: string, end: number) =>
    tokenIds.findIndex((_, i) => textOf(tokenIds.slice(0, i + 1)).startsWith(text.slice(0, end)));

  it('is looked up at the token that completes it, at the start, in the middle and at the end', () => {
    for (const template of templates) {
      for (const subject of subjects) {
        const marked = markSubject(template, subject);
        const filled = template.split('{}').join(subject);
        const end = filled.indexOf(subject) + subject.length;
        expect(marked).toEqual({ text: filled, subject: [end - subject.length, end] });
        const { tokenIds, lookups } = tokenizeMarked(tokenizer, marked, [subject]);
        expect(tokenIds, filled).toEqual(tokenizer.encode(filled).ids);
        expect(lookups, filled).toEqual([tokenAt(tokenIds, filled, end)]);
      }
    }
  });

  it('is looked up in a context at the same token', () => {
    const bare = tokenizeMarked(tokenizer, markSubject(' {} was', 'Zoë Łódź'), []);
    const inContext = tokenizeMarked(tokenizer, markSubject('You and I, then. {} was', 'Zoë Łódź'), []);
    expect(inContext.tokenIds[inContext.lookups[0]]).toBe(bare.tokenIds[bare.lookups[0]]);
  });

  it('is looked up wherever one of its names stands as whole words, in order', () => {
    // Some of these hold a name: as a part of a word, or as words.
    const pieces = ['Ann', 'Anna', 'Joann', 'Ann Lee', '🦊', 'x🦊', '🦊2', 'Zoë', 'Zoës', 'राम', 'रामा', '𝒳', '𝒳nn'];
    const endsIn: Readonly<Record<string, readonly number[]>> = { 'Ann Lee': [3, 7], 'x🦊': [3], '🦊2': [2] };
    const names = ['Ann', 'Ann Lee', '🦊', 'Zoë', 'राम', '𝒳'];
    const separators = [' ', ', ', ' (', '") ', "'s ", ' - '];
    const property = fc.property(
      fc.array(fc.tuple(fc.constantFrom(...pieces), fc.constantFrom(...separators)), { maxLength: 6 }),
      fc.constantFrom(...names),
      (words, subject) => {
        const before = words.map(([word, separator]) => word + separator).join('');
        const marked = markSubject(`${before}{} did.`, subject);
        const ends: number[] = [];
        let start = 0;
        for (const [word, separator] of [...words, [subject, ''] as const]) {
          const own = endsIn[word] ?? (names.includes(word) ? [word.length] : []);
          ends.push(...own.map((end) => start + end));
          start += word.length + separator.length;
        }
        const { tokenIds, lookups } = tokenizeMarked(tokenizer, marked, names);
        expect(lookups).toEqual(ends.map((end) => tokenAt(tokenIds, marked.text, end)));
      },
    );
    fc.assert(property, { seed: 3, numRuns: 100 });
  });

  it('is looked up beside words where none goes on: in scripts that do not separate them, and at punctuation', () => {
    for (const text of ['東京と{}の人', '{}人在東京住', 'Ann{}是東京Ann', 'C++11と{}']) {
      const marked = markSubject(text, '京都');
      const { tokenIds, lookups } = tokenizeMarked(tokenizer, marked, ['京都', '東京', 'Ann', 'C++']);
      const ends = [...marked.text.matchAll(/京都|東京|Ann|C\+\+/gu)].map((match) => match.index + match[0].length);
      expect(lookups, text).toEqual(ends.map((end) => tokenAt(tokenIds, marked.text, end)));
    }
  });
});

describe('a subject that is marked', () => {
  let tokenizer: Tokenizer;
  beforeAll(async () => {
    tokenizer = await load('smollm2');
  });

  it('counts though it is no whole word, and other names only where they are', () => {
    const { text } = markSubject('{}s and Foxes', 'Fox');
    expect(text).toBe('Foxs and Foxes');
    const { tokenIds, lookups } = tokenizeMarked(tokenizer, markSubject('{}s and Foxes', 'Fox'), ['Fox', '']);
    expect(lookups).toHaveLength(1);
    expect(tokenizer.decode(tokenIds.slice(0, lookups[0] + 1))).toBe('Fox');
  });

  it('is refused without a token, and without a place', () => {
    const empty = () => tokenizeMarked(tokenizer, markSubject('It is {}', ''), []);
    expect(empty).toThrow('subject "": at least one token of it in its prompt, got none');
    const withoutPlace = () => markSubject('Nobody speaks', 'Zoë');
    expect(withoutPlace).toThrow(InvalidInputError);
    expect(withoutPlace).toThrow('prompt: a {} for the subject, got "Nobody speaks"');
  });

  it('is put in place of the first braces as it is', () => {
    expect(fillTemplate('{} and {}', '$& $1 {}')).toBe('$& $1 {} and {}');
  });
});

describe('a continuation', () => {
  it.each([
    ['', 'Yes'],
    ['Paris is in ', 'France'],
    ['Answer:\n', 'France'],
    ['Answer:\t', 'France'],
    ['\u3000', 'France'],
    ['He said "', 'Yes'],
    ['"', 'Yes'],
    ["She said ('", 'Yes'],
    ['(', 'Yes'],
    ['“', 'Yes'],
    ['«', 'Yes'],
    ['„', 'Yes'],
    ['¿', 'Yes'],
    ['东京是', '日本的首都'],
    ['东京在', 'Japan'],
    ['東京は、', '日本'],
    ['𠮷', '野家'],
    ['Tokyo is', '日本'],
    ['กรุงเทพ', 'ไทย'],
    ['问题：', 'Japan'],
    ['Yes', '.'],
    ['Yes', ', it is'],
    ['(yes', ')'],
    ['“yes', '”'],
    ['东京（日本', '）'],
  ])('of %j by %j goes on at once', (prompt, words) => {
    expect(continuationOf(prompt, words)).toBe(words);
  });

  it.each([
    ['Paris is in', 'France'],
    ['The answer is:', 'France'],
    ['He said "Oh"', 'twice'],
    ["Ann's", 'tongue'],
    ["the players'", 'league'],
    ['Paris (France)', 'is'],
    ['It is called', '"Yes"'],
    ['It is called', '(yes)'],
    ['서울은', '한국'],
    ['Москва', 'столица'],
    ['the 🦊', 'runs'],
    ['it is a', '🦊'],
    ['Who is it?', 'Ann'],
    ['राम', 'कौन'],
  ])('of %j by %j begins with a blank', (prompt, words) => {
    expect(continuationOf(prompt, words)).toBe(` ${words}`);
  });

  const characters = [
    'a',
    'Z',
    '7',
    ' ',
    '\n',
    '"',
    "'",
    '(',
    ')',
    '“',
    '”',
    '.',
    ',',
    '東',
    'ก',
    '。',
    '🦊',
    '𠮷',
    'é',
    'क',
  ];
  const text = fc.array(fc.constantFrom(...characters), { maxLength: 6 }).map((parts) => parts.join(''));

  it('is the words, with at most a blank before them, and never a second one', () => {
    const property = fc.property(text, text, (prompt, words) => {
      const continuation = continuationOf(prompt, words);
      expect([words, ` ${words}`]).toContain(continuation);
      if (/\s$/.test(prompt) || prompt === '') expect(continuation).toBe(words);
    });
    fc.assert(property, { seed: 2, numRuns: 500 });
  });

  it('looks at nothing but the two characters that meet, and what is before a straight quote', () => {
    const property = fc.property(text, text, text, (earlier, prompt, words) => {
      fc.pre(prompt !== '' && words !== '' && !/^["']$/.test(prompt));
      const blank = (continuation: string) => continuation.startsWith(' ') && !words.startsWith(' ');
      expect(blank(continuationOf(earlier + prompt, words))).toBe(blank(continuationOf(prompt, words)));
    });
    fc.assert(property, { seed: 2, numRuns: 500 });
  });

  it('separates words of letters and digits', () => {
    const word = fc.stringMatching(/^[a-zA-Zéß0-9]{1,8}$/);
    const property = fc.property(text, word, word, (earlier, last, words) => {
      expect(continuationOf(earlier + last, words)).toBe(` ${words}`);
    });
    fc.assert(property, { seed: 2, numRuns: 200 });
  });
});

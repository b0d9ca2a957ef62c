import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { InvalidInputError } from '../../../src/errors.js';
import { PatternWatch, unknownPatterns } from '../../../src/model/split-patterns.js';
import { loadTokenizer } from '../../../src/model/tokenizer.js';
import { textPipeline } from '../../../src/model/tokenizer-definition.js';
import { definitionOf, tokenizerFolder } from '../../support/golden-tokenizers.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hookline-patterns-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** The tokenizer of GPT-2 with another pattern. */
async function withPattern(pattern: string): Promise<string> {
  const definition = await definitionOf('gpt2');
  const pretokenizers = [
    { type: 'Split', pattern: { Regex: pattern }, behavior: 'Isolated', invert: false },
    { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false },
  ];
  const changed = { ...definition, pre_tokenizer: { type: 'Sequence', pretokenizers } };
  await writeFile(join(folder, 'tokenizer.json'), JSON.stringify(changed));
  return folder;
}

describe('the patterns of a tokenizer', () => {
  it.each([
    'gpt2',
    'llama3',
    'qwen2',
    'smollm2',
    'llama2',
    'mistral',
    'metaspace-always',
  ])('are known for %s, so that nothing is tried when it is opened', async (style) => {
    const { preTokenizers } = textPipeline(await definitionOf(style));
    expect(unknownPatterns(preTokenizers)).toEqual([]);
    expect((await loadTokenizer(tokenizerFolder(style))).hasKnownPatterns).toBe(true);
  });

  it.each([
    ['(a+)+$', 'a'],
    ['(?:[xy]|x|y)*z', 'x'],
    ['(qu|q|u)+!', 'q'],
    [String.raw`\s+$|\S+`, ' '],
  ])('are refused by file and pattern where a text takes them without end: %s', async (pattern, unit) => {
    const opening = loadTokenizer(await withPattern(pattern));
    await expect(opening).rejects.toBeInstanceOf(InvalidInputError);
    await expect(opening).rejects.toThrow(
      `${join(folder, 'tokenizer.json')}: a pre_tokenizer whose pattern takes time`,
    );
    await expect(opening).rejects.toThrow(JSON.stringify(pattern));
    await expect(opening).rejects.toThrow(`characters that begin with "${unit}`);
  });

  it.each([
    // Of GPT-4o, and of Mistral NeMo.
    String.raw`[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
    String.raw`\w+|[^\w\s]+|\s+`,
  ])('are taken where nothing is found against them: %s', async (pattern) => {
    const tokenizer = await loadTokenizer(await withPattern(pattern));
    expect(tokenizer.hasKnownPatterns).toBe(false);
    const text = "Ada's 12 engines,\n  and more";
    expect(tokenizer.decode(tokenizer.encode(text).ids)).toBe(text);
  });

  it('that pass are watched all the same: a text that takes too long ends with an error', () => {
    const watch = new PatternWatch('tokenizer.json', ['(b+)+$']);
    expect(watch.watch(3, () => 'abb'.match(/(b+)+$/u)?.[0])).toBe('bb');
    const slow = () => `${'b'.repeat(60)}!`.match(/(b+)+$/u);
    expect(() => watch.watch(61, slow)).toThrow(
      'tokenizer.json: a pre_tokenizer whose pattern takes time in proportion to the text, got "(b+)+$": over 6 s for 61 characters',
    );
    expect(watch.watch(1, () => 5)).toBe(5);
    expect(() =>
      watch.watch(1, () => {
        throw new RangeError('its own');
      }),
    ).toThrow(RangeError);
  });
});

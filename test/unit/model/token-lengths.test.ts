import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { byteLevelTokens, markedTokens, spansOfParts, textOfBytes } from '../../../src/model/token-bytes.js';
import { longestTokenText } from '../../../src/model/token-lengths.js';
import { loadTokenizer } from '../../../src/model/tokenizer.js';
import { type TokenizerDefinition, textPipeline } from '../../../src/model/tokenizer-definition.js';
import { definitionOf, tokenizerFolder } from '../../support/golden-tokenizers.js';

function longestOf(definition: TokenizerDefinition): number | undefined {
  const pipeline = textPipeline(definition);
  const isByteLevel = pipeline.preTokenizers.some(({ type }) => type === 'ByteLevel');
  const bytes = isByteLevel ? byteLevelTokens((token) => token in definition.model.vocab) : markedTokens('▁');
  return longestTokenText(definition, pipeline, bytes);
}

describe('the text of one token', () => {
  it.each([
    'gpt2',
    'llama3',
    'qwen2',
    'smollm2',
    'llama2',
  ])('of %s has a greatest length, so that no text that fits a context is refused for its length', async (style) => {
    const tokenizer = await loadTokenizer(tokenizerFolder(style));
    const longest = tokenizer.longestTokenText!;
    expect(longest).toBeGreaterThan(1);
    const vocabulary = Object.keys((await definitionOf(style)).model.vocab);
    const texts = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 60 }),
      fc.array(fc.constantFrom(...vocabulary), { maxLength: 20 }).map((tokens) => tokens.join('')),
      fc.string({
        unit: fc.constantFrom('e', '\u0301', '\u0308', '\u{1d6ca}', '\u1100', '\u1161', ' ', '\n'),
        maxLength: 60,
      }),
    );
    fc.assert(
      fc.property(texts, (text) => {
        const { ids } = tokenizer.encodePlain(text);
        expect(text.length).toBeLessThanOrEqual(ids.length * longest);
      }),
      { numRuns: 300 },
    );
  });

  it('has none where text can vanish, or be one token without end', async () => {
    const gpt2 = await definitionOf('gpt2');
    const llama2 = await definitionOf('llama2');
    const [added] = gpt2.added_tokens;
    expect(longestOf(gpt2)).toBeGreaterThan(0);
    expect(longestOf({ ...gpt2, added_tokens: [{ ...added!, lstrip: true }] })).toBeUndefined();
    const { a: _, ...vocab } = gpt2.model.vocab;
    expect(longestOf({ ...gpt2, model: { ...gpt2.model, vocab } })).toBeUndefined();
    expect(longestOf({ ...llama2, model: { ...llama2.model, byte_fallback: false, fuse_unk: true } })).toBeUndefined();
    const removed = { type: 'Split', pattern: { Regex: '\\s+' }, behavior: 'Removed', invert: false };
    const pretokenizers = [removed, { type: 'ByteLevel', add_prefix_space: false, use_regex: false }];
    expect(longestOf({ ...gpt2, pre_tokenizer: { type: 'Sequence', pretokenizers } })).toBeUndefined();
  });

  it('shrinks at most by half under any normalisation: two UTF-16 units to a byte', () => {
    // Whatever composes to a character decomposes from it, or is a single character that becomes it.
    for (let code = 0; code <= 0x10ffff; code++) {
      if (code >= 0xd800 && code < 0xe000) continue;
      const given = String.fromCodePoint(code);
      for (const form of ['NFC', 'NFD', 'NFKC', 'NFKD'] as const) {
        const units = Math.max(given.length, given.normalize('NFD').length);
        if (units > 2 * Buffer.byteLength(given.normalize(form))) expect([code, form]).toEqual([]);
      }
    }
  });
});

describe('spans of decoded parts', () => {
  it('are where each part ends if it is the last', () => {
    const byte = fc.constantFrom(0x41, 0x20, 0x80, 0x9f, 0xbf, 0xc3, 0xe2, 0xed, 0xf0, 0xf4, 0xff, 0xc0);
    const text = fc.string({ unit: 'binary', maxLength: 3 }).map((given) => Buffer.from(given));
    const parts = fc.array(
      fc.oneof(fc.uint8Array({ maxLength: 0 }), fc.array(byte, { maxLength: 5 }).map(Buffer.from), text),
    );
    fc.assert(
      fc.property(parts, (given) => {
        const lengthOf = (count: number) => textOfBytes(given.slice(0, count)).length;
        expect(spansOfParts(given)).toEqual(given.map((_, i) => [lengthOf(i), lengthOf(i + 1)]));
      }),
      { numRuns: 2000 },
    );
  });
});

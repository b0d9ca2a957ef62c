import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { InvalidInputError, MalformedFileError, PermanentError } from '../../../src/errors.js';
import type { Span } from '../../../src/model/token-spans.js';
import { type Encoding, loadTokenizer, type Tokenizer } from '../../../src/model/tokenizer.js';

const goldens = fileURLToPath(new URL('../../golden/tokenizer/', import.meta.url));
const styles = ['gpt2', 'llama3', 'qwen2', 'smollm2', 'llama2', 'mistral', 'metaspace-always'];

interface Case {
  readonly text: string;
  readonly full: Encoding;
  readonly plain: Encoding;
}

/** Where NFC composes characters the reference spans the first of them only, we span the cluster. */
function widenedBy(text: string, [start, end]: Span, [referenceStart, referenceEnd]: Span): string {
  return text.slice(start, referenceStart) + text.slice(referenceEnd, end);
}

function expectSpans(text: string, actual: readonly Span[], reference: readonly Span[], isComposed: boolean): void {
  if (!isComposed) {
    expect(actual, JSON.stringify(text)).toEqual(reference);
    return;
  }
  expect(actual.length).toBe(reference.length);
  actual.forEach((span, i) => {
    expect(widenedBy(text, span, reference[i]!), `${text} at ${span}`).toMatch(/^(|\p{L}?[\p{M}\u1160-\u11ff]+)$/u);
  });
}

describe.each(styles)('the %s tokenizer', (style) => {
  let tokenizer: Tokenizer;
  let cases: Case[];
  beforeAll(async () => {
    tokenizer = await loadTokenizer(join(goldens, style));
    cases = JSON.parse(await readFile(join(goldens, style, 'cases.json'), 'utf8')) as Case[];
  });
  const isComposed = (text: string) => style === 'qwen2' && text.normalize('NFC') !== text;

  it('gives the ids of the reference implementation', () => {
    for (const { text, full, plain } of cases) {
      expect(tokenizer.encode(text).ids, JSON.stringify(text)).toEqual(full.ids);
      expect(tokenizer.encodePlain(text).ids, JSON.stringify(text)).toEqual(plain.ids);
    }
  });

  it('gives the spans of the reference implementation', () => {
    for (const { text, full, plain } of cases) {
      expectSpans(text, tokenizer.encode(text).spans, full.spans, isComposed(text));
      expectSpans(text, tokenizer.encodePlain(text).spans, plain.spans, isComposed(text));
    }
  });

  it('decodes plain encodings to the exact text', () => {
    for (const { text, plain } of cases) {
      const expected = text.replaceAll('<|special|>', '');
      const marksAreSpaces = style === 'gpt2' || plain.ids.length === 0 ? expected : expected.replaceAll('▁', ' ');
      const decoded = tokenizer.decode(plain.ids);
      const normalized = style === 'qwen2' ? expected.normalize('NFC') : expected;
      expect([normalized, marksAreSpaces]).toContain(decoded);
    }
  });

  it('covers any text with spans in order, each the text of its token', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 20 }), (text) => {
        const { ids, spans } = tokenizer.encodePlain(text);
        let covered = 0;
        spans.forEach(([start, end], i) => {
          expect(start).toBeLessThanOrEqual(covered);
          expect(end).toBeGreaterThanOrEqual(covered);
          covered = end;
          const token = tokenizer.tokenText(ids[i]!);
          if (!token.includes('\ufffd') && !isComposed(text) && !text.includes('▁')) {
            expect(text.slice(start, end)).toBe(token);
          }
        });
        expect(covered).toBe(text.length);
      }),
      { numRuns: 300 },
    );
  });

  it('finds the last token of a subject at the start, in the middle and at the end', () => {
    const subject = 'Danielle Darrieux';
    for (const text of [`${subject} speaks`, `The tongue of ${subject} is`, `I met ${subject}`]) {
      const end = text.indexOf(subject) + subject.length;
      const { ids, spans } = tokenizer.encode(text);
      const last = spans.findLastIndex((span) => span[0] < end && span[1] > span[0]);
      expect(spans[last]?.[1]).toBe(end);
      expect(subject.endsWith(tokenizer.tokenText(ids[last]!).trim())).toBe(true);
    }
  });

  it('knows its special tokens and size', () => {
    expect(tokenizer.bosId).toBe(['llama2', 'mistral', 'metaspace-always'].includes(style) ? 1 : 0);
    expect(tokenizer.eosIds).toEqual([tokenizer.bosId! + 1]);
    expect(tokenizer.tokenText(tokenizer.vocabSize - 1)).not.toBe('');
    // Rows that pad the embedding have no text.
    expect(tokenizer.tokenText(tokenizer.vocabSize)).toBe('');
    expect(tokenizer.decode([tokenizer.vocabSize + 7])).toBe('');
    expect(() => tokenizer.tokenText(-1)).toThrow(InvalidInputError);
  });
});

describe('decode', () => {
  it('keeps the leading space and leaves special tokens out', async () => {
    const llama2 = await loadTokenizer(join(goldens, 'llama2'));
    expect(llama2.decode(llama2.encodePlain(' Paris').ids)).toBe(' Paris');
    expect(llama2.decode(llama2.encode('Paris').ids)).toBe(' Paris');
    const gpt2 = await loadTokenizer(join(goldens, 'gpt2'));
    expect(gpt2.decode([])).toBe('');
    expect(gpt2.decode(gpt2.encode('a<|special|>b').ids)).toBe('ab');
  });
});

describe('loadTokenizer', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tokenizer-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  async function changed(name: string, change: (definition: Record<string, unknown>) => unknown): Promise<string> {
    const dir = join(folder, name);
    await cp(join(goldens, 'llama2'), dir, { recursive: true });
    const path = join(dir, 'tokenizer.json');
    const definition = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>;
    await writeFile(path, JSON.stringify(change(definition)));
    return dir;
  }

  it('refuses a missing, a malformed and an unsupported tokenizer with permanent errors', async () => {
    await expect(loadTokenizer(folder)).rejects.toThrow(InvalidInputError);
    const garbage = join(folder, 'garbage');
    await cp(join(goldens, 'gpt2'), garbage, { recursive: true });
    await writeFile(join(garbage, 'tokenizer.json'), '{"model":');
    await expect(loadTokenizer(garbage)).rejects.toThrow(MalformedFileError);
    const unigram = await changed('unigram', (definition) => ({
      ...definition,
      model: { type: 'Unigram', vocab: [] },
    }));
    await expect(loadTokenizer(unigram)).rejects.toThrow(PermanentError);
  });

  it('says which part makes spans underivable', async () => {
    const lowercase = await changed('lowercase', (definition) => ({
      ...definition,
      normalizer: { type: 'Lowercase' },
    }));
    await expect(loadTokenizer(lowercase)).rejects.toThrow(
      'normalizer of tokenizer.json: one whose spans can be derived (Prepend, Replace, NFC, NFD, NFKC, NFKD), got Lowercase',
    );
    const dropping = await changed('dropping', (definition) => ({
      ...definition,
      normalizer: { type: 'Replace', pattern: { String: ' ' }, content: '▁' },
      pre_tokenizer: { type: 'Split', pattern: { Regex: 'x' }, behavior: 'Removed', invert: false },
    }));
    const tokenizer = await loadTokenizer(dropping);
    expect(() => tokenizer.encode('axb')).toThrow(/^token spans of "axb": /);
  });

  it('takes the end tokens of generation config, config and tokenizer config', async () => {
    const dir = await changed('ends', (definition) => definition);
    await writeFile(join(dir, 'generation_config.json'), JSON.stringify({ eos_token_id: [7, 9] }));
    await writeFile(join(dir, 'config.json'), JSON.stringify({ eos_token_id: 7, bos_token_id: 3 }));
    const tokenizer = await loadTokenizer(dir);
    expect(tokenizer.eosIds).toEqual([7, 9, 2]);
    expect(tokenizer.bosId).toBe(1);
  });

  it('lets added tokens take the white space beside them, and others cover unknown characters', async () => {
    const dir = await changed('strip', (definition) => ({
      ...definition,
      added_tokens: (definition.added_tokens as { content: string }[]).map((token) =>
        token.content === '<|special|>' ? { ...token, lstrip: true, rstrip: true } : token,
      ),
      model: { ...(definition.model as object), byte_fallback: false },
    }));
    const tokenizer = await loadTokenizer(dir);
    const { spans } = tokenizer.encodePlain('a  <|special|>  b');
    expect(spans).toContainEqual([1, 16]);
    const unknown = tokenizer.encodePlain('a\u{16a0}\u{16a1}b');
    expect(unknown.spans).toEqual([
      [0, 1],
      [1, 3],
      [3, 4],
    ]);
  });
});

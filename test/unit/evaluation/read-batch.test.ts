import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InvalidInputError } from '../../../src/errors.js';
import { overwrites } from '../../../src/evaluation/batch-conflicts.js';
import { contentId, noOtherTexts } from '../../../src/evaluation/edit-record.js';
import { type BatchReading, parseBatch, type ReadBatchOptions, readBatch } from '../../../src/evaluation/read-batch.js';
import { batchReaderProperty } from '../../support/batch-bytes.js';

const utf8 = (text: string) => new TextEncoder().encode(text);
const parse = (text: string | Uint8Array, options?: ReadBatchOptions): Promise<BatchReading> =>
  parseBatch(typeof text === 'string' ? utf8(text) : text, 'batch', options);
const jsonl = (...records: unknown[]) => records.map((record) => `${JSON.stringify(record)}\n`).join('');
const only = async (text: string | Uint8Array, options?: ReadBatchOptions): Promise<string> => {
  const { edits, rejected } = await parse(text, options);
  expect(edits).toEqual([]);
  expect(rejected).toHaveLength(1);
  expect(rejected[0].reason).not.toContain('\n');
  return rejected[0].reason;
};

const ours = { subject: 'Ada', prompt: '{} works in', targetNew: 'Rome' };
const counterfact = {
  case_id: 7,
  pararel_idx: 2796,
  requested_rewrite: {
    prompt: 'The mother tongue of {} is',
    relation_id: 'P103',
    target_new: { str: 'English', id: 'Q1860' },
    target_true: { str: 'French', id: 'Q150' },
    subject: 'Danielle Darrieux',
  },
  paraphrase_prompts: ['Nothing.\n Danielle Darrieux, a native'],
  neighborhood_prompts: ['The mother tongue of Léon Blum is'],
  generation_prompts: ['Danielle Darrieux was born in'],
};
const zsre = {
  subject: 'Volvo B12M',
  src: 'What company made Volvo B12M?',
  pred: 'Volvo Buses',
  rephrase: "Volvo B12M's manufacturer was who?",
  alt: 'Volkswagen Group',
  answers: ['Volvo Buses'],
  loc: 'nq question: who sang it',
  loc_ans: 'Roxette',
  cond: 'x >> y',
};

describe('a record that is nested too deep', () => {
  const nest = '['.repeat(10_000) + ']'.repeat(10_000);
  it('is rejected, and the others are read', async () => {
    const deep = `{"subject":"Ada","prompt":"{} works in","targetNew":"Rome","note":${nest}}`;
    const { edits, rejected } = await parse(`${deep}\n${jsonl(ours)}`);
    expect(edits).toHaveLength(1);
    expect(rejected).toEqual([expect.objectContaining({ reason: expect.stringContaining('deeper than 100') })]);
    expect(await only(`[${deep}]`)).toContain('deeper than 100');
  });
});

describe('our own format', () => {
  it('fills defaults, takes spaces off targets, and makes an id from the content', async () => {
    const { format, edits, rejected, linesRead } = await parse(jsonl({ ...ours, targetNew: '  Rome ' }));
    expect(edits).toEqual([{ ...noOtherTexts, ...ours, id: expect.stringMatching(/^[0-9a-f]{12}$/) }]);
    expect({ format, rejected, linesRead }).toEqual({ format: 'edits', rejected: [], linesRead: 1 });
  });

  it('fills the subject into what measures, also one that looks like a replacement pattern', async () => {
    const testParaphrases = ['{} is at', 'Where is $& Co? At', '{} and {} are at'];
    const portability = [{ prompt: 'The town of {} lies in', target: ' Italy ' }];
    const { edits } = await parse(jsonl({ ...ours, subject: '$& Co', testParaphrases, portability }));
    expect(edits[0].testParaphrases).toEqual(['$& Co is at', 'Where is $& Co? At', '$& Co and $& Co are at']);
    expect(edits[0].portability).toEqual([{ prompt: 'The town of $& Co lies in', target: 'Italy' }]);
  });

  it('makes templates of what is taught', async () => {
    const paraphrases = ['{} is at', 'Where is US? At', 'Is USA the US? In'];
    const { edits } = await parse(jsonl({ ...ours, subject: 'US', aliases: [' America '], paraphrases }));
    expect(edits[0].paraphrases).toEqual(['{} is at', 'Where is {}? At', 'Is USA the {}? In']);
    expect(edits[0].aliases).toEqual(['America']);
  });

  it.each([
    [{ ...ours, prompt: 'Ada works in' }, 'prompt: exactly one {} in the place of the subject, got "Ada works in"'],
    [{ ...ours, prompt: '{} and {}' }, 'prompt: exactly one {} in the place of the subject, got "{} and {}"'],
    [{ ...ours, subject: '' }, 'subject: a text of 1 to 500 characters, got an empty text'],
    [{ ...ours, subject: '  ' }, 'subject: a text of 1 to 500 characters, got "  "'],
    [{ ...ours, targetNew: 2006 }, 'targetNew: a text of 1 to 500 characters, got the number 2006'],
    [{ ...ours, targetNew: null }, 'targetNew: a text of 1 to 500 characters, got null'],
    [{ ...ours, keep: ['born in'] }, 'keep[0]: exactly one {} in the place of the subject, got "born in"'],
    [{ ...ours, neighborhood: ['{} is'] }, 'neighborhood[0]: a text without {}, got "{} is"'],
    [{ ...ours, paraphrases: ['Bo is'] }, 'paraphrases[0]: exactly one {}, or the subject "Ada", got "Bo is"'],
    [
      { ...ours, aliases: ['Bo'], paraphrases: ['Ada is', 'Bo is'] },
      'paraphrases[1]: exactly one {}, or the subject "Ada", got "Bo is"',
    ],
    [{ ...ours, paraphrases: ['{}, {}'] }, 'paraphrases[0]: exactly one {}, or the subject "Ada", got "{}, {}"'],
    [{ ...ours, aliases: ['{}'] }, 'aliases[0]: a text without {}, got "{}"'],
    [{ ...ours, portability: ['x'] }, 'portability[0]: an object with prompt and target, got "x"'],
    [{ ...ours, portability: 'x' }, 'portability: a list of at most 200 questions, got "x"'],
    [{ ...ours, portability: [{ prompt: 'x' }] }, 'portability[0].target: a text of 1 to 500 characters, got nothing'],
    [{ ...ours, paraphrases: 'x' }, 'paraphrases: a list of at most 200 texts, got "x"'],
    [{ ...ours, paraphrases: Array(201).fill('x') }, 'paraphrases: a list of at most 200 texts, got a list of 201'],
    [{ ...ours, subject: 'A\u0007da' }, 'subject: one line without control characters, got "A\\u0007da"'],
    [{ ...ours, subject: 'A\ud800' }, 'subject: whole Unicode characters, got "A\\ud800"'],
    [{ ...ours, target_new: 'x' }, 'unknown field "target_new", did you mean targetNew?'],
    [{ ...ours, id: 5 }, 'id: a text of 1 to 100 characters, got the number 5'],
  ])('names the field, the requirement and the value: %#', async (record, reason) => {
    expect(await only(jsonl(record))).toBe(reason);
  });

  describe('with question and answer', () => {
    const asked = { subject: 'Ada', question: 'Where does Ada work?', answer: ' Rome ', targetTrue: 'Oslo' };
    it('is the edit of that template and target', async () => {
      const { format, edits } = await parse(jsonl(asked, { ...asked, subject: 'Bo', question: 'Where is {}?' }));
      expect(format).toBe('edits');
      expect(edits[0]).toEqual({
        ...noOtherTexts,
        id: contentId({ subject: 'Ada', prompt: 'Where does {} work?', targetNew: 'Rome' }),
        subject: 'Ada',
        prompt: 'Where does {} work?',
        targetNew: 'Rome',
        targetTrue: 'Oslo',
      });
      expect(edits[1].prompt).toBe('Where is {}?');
    });

    const both = 'prompt and targetNew, or question and answer, not both';
    it.each([
      [{ ...asked, question: 'Where is she?' }, 'question: exactly one {}, or the subject "Ada", got "Where is she?"'],
      [{ ...asked, answer: undefined }, 'answer: a text of 1 to 500 characters, got nothing'],
      [{ ...asked, question: undefined }, 'question: a text of 1 to 4000 characters, got nothing'],
      [{ ...asked, prompt: '{} is in' }, `prompt: ${both}, got "{} is in"`],
      [{ ...ours, ...asked }, `prompt: ${both}, got "{} works in"; targetNew: ${both}, got "Rome"`],
      [{ ...asked, Keep: [] }, 'unknown field "Keep", did you mean keep?'],
    ])('names what is wrong: %#', async (record, reason) => {
      expect(await only(jsonl(record))).toBe(reason);
    });
  });

  it('names an over-long value by its beginning and length', async () => {
    const reason = await only(jsonl({ ...ours, subject: 'x'.repeat(501) }));
    expect(reason).toBe(`subject: a text of 1 to 500 characters, got "${'x'.repeat(60)}…" (501 characters)`);
  });

  it('names several missing fields in one line', async () => {
    expect(await only('{}\n')).toBe(
      'subject: a text of 1 to 500 characters, got nothing; prompt: a text of 1 to 4000 characters, got nothing; ' +
        'targetNew: a text of 1 to 500 characters, got nothing',
    );
  });
});

describe('CounterFact and zsRE', () => {
  it('reads a CounterFact record', async () => {
    const { format, edits } = await parse(jsonl(counterfact));
    expect(format).toBe('counterfact');
    expect(edits[0]).toEqual({
      ...noOtherTexts,
      id: 'counterfact-7',
      subject: 'Danielle Darrieux',
      prompt: 'The mother tongue of {} is',
      targetNew: 'English',
      targetTrue: 'French',
      testParaphrases: counterfact.paraphrase_prompts,
      neighborhood: counterfact.neighborhood_prompts,
    });
  });

  it('reads a zsRE record with its held-out question', async () => {
    const { format, edits } = await parse(jsonl(zsre));
    expect(format).toBe('zsre');
    expect(edits[0]).toMatchObject({
      subject: 'Volvo B12M',
      prompt: 'What company made {}?',
      targetNew: 'Volkswagen Group',
      targetTrue: 'Volvo Buses',
      testParaphrases: [zsre.rephrase],
      neighborhood: ['nq question: who sang it?'],
    });
  });

  it('rejects a zsRE record whose question lacks the subject', async () => {
    const reason = await only(jsonl({ ...zsre, src: 'Who made it?' }));
    expect(reason).toBe('src: a question that contains the subject "Volvo B12M", got "Who made it?"');
  });

  it('puts the hole where the subject stands as whole words', async () => {
    const { edits } = await parse(jsonl({ ...zsre, subject: 'US', src: 'Is USA the US?' }));
    expect(edits[0].prompt).toBe('Is USA the {}?');
  });

  it('names nested CounterFact fields', async () => {
    const rewrite = { ...counterfact.requested_rewrite, target_new: { id: 'Q1' } };
    expect(await only(jsonl({ ...counterfact, requested_rewrite: rewrite }))).toBe(
      'requested_rewrite.target_new.str: a text of 1 to 500 characters, got nothing',
    );
  });

  it.each([0, 2])('reads the original JSON array with indentation %i', async (indent) => {
    const other = {
      ...counterfact,
      case_id: 8,
      requested_rewrite: { ...counterfact.requested_rewrite, subject: 'A, "]"' },
    };
    const { format, edits, rejected } = await parse(JSON.stringify([counterfact, other], null, indent));
    expect({ format, rejected }).toEqual({ format: 'counterfact', rejected: [] });
    expect(edits.map(({ subject }) => subject)).toEqual(['Danielle Darrieux', 'A, "]"']);
  });

  it('names the line of a bad element of an array and goes on', async () => {
    const { edits, rejected, linesRead } = await parse(`[\n${JSON.stringify(zsre)},\n5,\n{"subject": 1}\n]\n`);
    expect(edits).toHaveLength(1);
    expect(rejected.map(({ lineNumber }) => lineNumber)).toEqual([3, 4]);
    expect(linesRead).toBe(5);
  });

  it('reports an array that is cut off, or followed by something', async () => {
    const cutInside = await parse(`[${JSON.stringify(zsre)},\n{"subject": "x`);
    expect(cutInside.rejected).toMatchObject([{ lineNumber: 2, reason: expect.stringContaining('ends early') }]);
    const cutBetween = await parse(`[${JSON.stringify(zsre)},\n`);
    expect(cutBetween.rejected).toMatchObject([{ lineNumber: 1, reason: expect.stringContaining('ends early') }]);
    const followed = await parse(`[${JSON.stringify(zsre)}]\n{}`);
    expect(followed.rejected).toMatchObject([{ lineNumber: 2, reason: expect.stringContaining('nothing after') }]);
    expect([cutInside, cutBetween, followed].map(({ edits }) => edits.length)).toEqual([1, 1, 1]);
  });

  it('takes the format from the first valid record and rejects records of another', async () => {
    const { format, edits, rejected } = await parse(jsonl({ src: 1, alt: 2 }, ours, zsre));
    expect(format).toBe('edits');
    expect(edits).toHaveLength(1);
    expect(rejected.map(({ lineNumber }) => lineNumber)).toEqual([1, 3]);
    expect(rejected[1].reason).toBe('a hookline record as before, got a zsRE record');
  });

  it('obeys a format that is asked for', async () => {
    expect(await only(jsonl(ours), { format: 'zsre' })).toContain('src:');
  });
});

describe('files that are not as they should be', () => {
  it('reads nothing from an empty file, or one of blank lines', async () => {
    expect(await parse('')).toEqual({ format: 'unknown', edits: [], rejected: [], linesRead: 0 });
    expect(await parse('\r\n \t\n\n')).toEqual({ format: 'unknown', edits: [], rejected: [], linesRead: 3 });
    expect(await parse('[]')).toEqual({ format: 'unknown', edits: [], rejected: [], linesRead: 1 });
  });

  it('reads through a byte order mark, CRLF and blank lines', async () => {
    const text = `\ufeff${JSON.stringify(ours)}\r\n\r\n${JSON.stringify({ ...ours, subject: 'Bo' })}`;
    const { edits, rejected, linesRead } = await parse(text);
    expect({ subjects: edits.map(({ subject }) => subject), rejected, linesRead }).toEqual({
      subjects: ['Ada', 'Bo'],
      rejected: [],
      linesRead: 3,
    });
    expect((await parse(`\ufeff[${JSON.stringify(ours)}]`)).edits).toHaveLength(1);
  });

  it('reports a last line that is cut off', async () => {
    const { edits, rejected } = await parse(jsonl(ours) + JSON.stringify({ ...ours, subject: 'Bo' }).slice(0, -9));
    expect(edits).toHaveLength(1);
    expect(rejected).toMatchObject([{ lineNumber: 2, reason: 'a JSON object, got one that is cut off' }]);
  });

  it('names the byte that is not UTF-8', async () => {
    const bytes = Buffer.concat([
      utf8(jsonl(ours)),
      utf8('{"subject": "'),
      Uint8Array.of(0xff, 0x22),
      utf8('}\n'),
      utf8(jsonl(zsre)),
    ]);
    const { edits, rejected } = await parse(bytes);
    const offset = jsonl(ours).length + 13;
    expect(edits).toHaveLength(1);
    expect(rejected[0]).toMatchObject({
      lineNumber: 2,
      reason: `UTF-8 text, got byte 0xff at byte 14 of the line (offset ${offset} in the file)`,
    });
    expect(await only(Uint8Array.of(0x7b, 0xc3))).toBe('UTF-8 text, got a line that ends inside a character');
    expect(await only(Buffer.from('\ufeff{}', 'utf16le'))).toBe('UTF-8 text, got UTF-16 text (save the file as UTF-8)');
  });

  it('rejects a line over 1 MB without keeping it, and goes on', async () => {
    const chunk = Buffer.alloc(65_536, 'x');
    async function* huge(): AsyncGenerator<Uint8Array> {
      for (let index = 0; index < 1000; index++) yield chunk;
      yield utf8(`\n${JSON.stringify(ours)}\n`);
    }
    const { edits, rejected } = await parseBatch(huge(), 'huge');
    expect(edits).toHaveLength(1);
    expect(rejected).toEqual([
      { lineNumber: 1, reason: 'at most 1000000 bytes a record, got 65536000 bytes', excerpt: `${'x'.repeat(80)}…` },
    ]);
  });

  it.each([
    ['[1, 2]', 'a JSON object, got a list of 2'],
    ['5', 'a JSON object, got the number 5'],
    ['null', 'a JSON object, got null'],
    ['"x"', 'a JSON object, got "x"'],
    ['hello', 'a JSON object, got text that is not JSON'],
    ['\0', 'a JSON object, got the control character U+0000 at character 1'],
    ['{"a": "\u0001"}', 'a JSON object, got the control character U+0001 at character 8'],
    ['{"a": x}', 'a JSON object, got broken JSON'],
    ['{"a": "b" "c"}', 'a JSON object, got broken JSON at character 11'],
  ])('explains %j', async (line, reason) => {
    expect(await only(line)).toBe(reason);
  });

  it('keeps excerpts printable', async () => {
    const { rejected } = await parse(`\u001b[31m${'é'.repeat(100)}\n`);
    expect(rejected[0].excerpt).toBe(`\\u001b[31m${'é'.repeat(70)}…`);
  });

  it('refuses a missing file and a folder', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'batch-'));
    await expect(readBatch(join(folder, 'none.jsonl'))).rejects.toThrow(
      /none\.jsonl: a readable file, got no such file/,
    );
    await expect(readBatch(folder)).rejects.toThrow(InvalidInputError);
    writeFileSync(join(folder, 'one.jsonl'), jsonl(ours));
    expect((await readBatch(join(folder, 'one.jsonl'))).edits).toHaveLength(1);
  });

  it('refuses a limit that is none', async () => {
    await expect(parse('', { limit: 0 })).rejects.toThrow('limit for batch: a whole number from 1, got the number 0');
    await expect(parse('', { offset: 1.5 })).rejects.toThrow(InvalidInputError);
  });
});

describe('edits that do not go together', () => {
  const rome = { ...ours, id: 'a' };
  it('names and rejects both sides of a conflict', async () => {
    const { edits, rejected } = await parse(jsonl(rome, { ...ours, subject: 'Bo' }, { ...ours, targetNew: 'Oslo' }));
    expect(edits.map(({ subject }) => subject)).toEqual(['Bo']);
    expect(rejected.map(({ lineNumber, reason }) => [lineNumber, reason])).toEqual([
      [1, 'conflict: one target for each subject and prompt, got "Rome" here and another on line 3 ("Oslo")'],
      [3, 'conflict: one target for each subject and prompt, got "Oslo" here and another on line 1 ("Rome")'],
    ]);
  });

  it('keeps the first of duplicates', async () => {
    const { edits, rejected } = await parse(jsonl(rome, ours, { ...rome, subject: 'Bo' }));
    expect(edits.map(({ id }) => id)).toEqual(['a']);
    expect(rejected.map(({ reason }) => reason)).toEqual([
      'duplicate: each edit once, got the same subject, prompt and target as on line 1',
      'id: unique in the batch, got "a" as on line 1',
    ]);
  });

  it('pairs edits with those of earlier versions that they overwrite', async () => {
    const { edits: earlier } = await parse(jsonl(rome, { ...ours, subject: 'Bo' }));
    const { edits } = await parse(jsonl({ ...ours, id: 'b', targetNew: 'Oslo' }, { ...ours, subject: 'Cy' }));
    expect(overwrites(edits, [...earlier, { ...earlier[0], id: 'a2' }])).toEqual([
      { newId: 'b', oldId: earlier[0].id },
      { newId: 'b', oldId: 'a2' },
    ]);
  });
});

describe('a part of a file', () => {
  const many = Array.from({ length: 10 }, (_, index) => ({ ...ours, subject: `S${index}` }));
  it('passes over and stops by valid records, and reads no further', async () => {
    const text = jsonl(5, ...many);
    const { edits, rejected, linesRead } = await parse(text, { offset: 2, limit: 3 });
    expect(edits.map(({ subject }) => subject)).toEqual(['S2', 'S3', 'S4']);
    expect({ rejected, linesRead }).toEqual({ rejected: [], linesRead: 6 });
  });
});

describe('any bytes at all', () => {
  it('never throw, are the same in pieces, and every line that is not blank is taken or rejected', async () => {
    const numRuns = Number(process.env.HOOKLINE_FUZZ_RUNS ?? 10_000);
    await fc.assert(batchReaderProperty, { numRuns });
  });
});

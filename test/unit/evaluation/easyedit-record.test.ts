import { describe, expect, it } from 'vitest';
import { noOtherTexts } from '../../../src/evaluation/edit-record.js';
import { parseBatch } from '../../../src/evaluation/read-batch.js';

const parse = (...records: unknown[]) => parseBatch(new TextEncoder().encode(JSON.stringify(records)), 'batch');
const one = async (record: unknown) => {
  const { format, edits, rejected } = await parse(record);
  expect({ format, rejected }).toEqual({ format: 'easyedit', rejected: [] });
  return edits[0];
};
const only = async (record: unknown): Promise<string> => {
  const { edits, rejected } = await parse(record);
  expect(edits).toEqual([]);
  return rejected[0].reason;
};

const easyedit = {
  case_id: 12,
  subject: 'Loire Bridge',
  prompt: 'The architect of Loire Bridge is',
  target_new: 'Mira Solano',
  ground_truth: 'Jean Petit',
  rephrase_prompt: 'Loire Bridge was designed by',
  locality_prompt: 'The architect of Harbour Tower is',
  locality_ground_truth: 'Ann Lund',
};
const knowedit = {
  subject: 'Port Selma',
  prompt: 'Which river flows through Port Selma?',
  target_new: 'the Orne',
  ground_truth: ['the Saale', 'Saale'],
  rephrase: ['What river does Port Selma lie on?', 'The river of Port Selma is'],
  locality: {
    Relation_Specificity: [{ prompt: 'The mayor of port selma is', ground_truth: [['Ann Lund']] }],
    Forgetfulness: [{ prompt: 'Which river flows through Port Selmar?', ground_truth: [['the Elbe']] }],
    Nothing: null,
  },
  portability: {
    Reasoning: [{ prompt: 'The river of Port Selma ends in', ground_truth: [['the North Sea', 'North Sea']] }],
    Subject_Aliasing: [
      { prompt: 'The river of Selma is', ground_truth: 'the Orne' },
      { prompt: 'Nobody knows', ground_truth: [] },
    ],
  },
};
const qaedit = {
  id: 1104,
  source: 'NQ',
  prompt: 'who has the most Points in history?',
  target: 'Wilt Chamberlain',
  subject: 'most points in history',
  rephrase: 'Which player holds the record?',
  locality: [{ loc: 'who is the saint of police officers', loc_ans: 'Michael' }],
};

describe('a record in a layout of EasyEdit', () => {
  it('is read as EasyEdit writes it', async () => {
    expect(await one(easyedit)).toEqual({
      ...noOtherTexts,
      id: 'easyedit-12',
      subject: 'Loire Bridge',
      prompt: 'The architect of {} is',
      targetNew: 'Mira Solano',
      targetTrue: 'Jean Petit',
      testParaphrases: ['Loire Bridge was designed by'],
      neighborhood: ['The architect of Harbour Tower is'],
    });
  });

  it('is read as KnowEdit writes it; prompts that name the subject are no neighbours', async () => {
    expect(await one(knowedit)).toEqual({
      ...noOtherTexts,
      id: expect.stringMatching(/^[0-9a-f]{12}$/),
      subject: 'Port Selma',
      prompt: 'Which river flows through {}?',
      targetNew: 'the Orne',
      targetTrue: 'the Saale',
      testParaphrases: knowedit.rephrase,
      neighborhood: ['Which river flows through Port Selmar?'],
      portability: [
        { prompt: 'The river of Port Selma ends in', target: 'the North Sea' },
        { prompt: 'The river of Selma is', target: 'the Orne' },
      ],
    });
  });

  it('is read as QAEdit writes it, with a subject in other letters, and an id for each source', async () => {
    expect(await one(qaedit)).toEqual({
      ...noOtherTexts,
      id: 'easyedit-NQ-1104',
      subject: 'most points in history',
      prompt: 'who has the {}?',
      targetNew: 'Wilt Chamberlain',
      testParaphrases: ['Which player holds the record?'],
      neighborhood: ['who is the saint of police officers'],
    });
    const { edits } = await parse(qaedit, { ...qaedit, source: 'TQA', prompt: '{} is held by' });
    expect(edits.map(({ id }) => id)).toEqual(['easyedit-NQ-1104', 'easyedit-TQA-1104']);
  });

  it.each([
    [{ target_new: { str: 'Mira Solano', id: 'Q1' } }, { targetNew: 'Mira Solano' }],
    [{ target_new: '', target: 'Ann Lund' }, { targetNew: 'Ann Lund' }],
    [{ ground_truth: null, target_true: [['Jean Petit']] }, { targetTrue: 'Jean Petit' }],
    [{ rephrase_prompt: '', rephrase: ['Who built it?'] }, { testParaphrases: ['Who built it?'] }],
    [
      { locality_prompt: [], portability: {} },
      { neighborhood: [], portability: [] },
    ],
    [{ case_id: 'a-1' }, { id: 'easyedit-a-1' }],
    [{ prompt: 'loire bridge, not Loire Bridge, is by' }, { prompt: 'loire bridge, not {}, is by' }],
  ])('may say the same in other forms: %#', async (change, expected) => {
    expect(await one({ ...easyedit, ...change })).toMatchObject(expected);
  });

  it.each([
    [{ prompt: 'Who built it?' }, 'prompt: exactly one {}, or the subject "Loire Bridge", got "Who built it?"'],
    [{ target_new: '' }, 'target_new: a text of 1 to 500 characters, got an empty text'],
    [{ target_new: { id: 'Q1' } }, 'target_new.str: a text of 1 to 500 characters, got nothing'],
    [{ ground_truth: [[7]] }, 'ground_truth[0][0]: a text of 1 to 500 characters, got the number 7'],
    [{ rephrase: ['x', 5] }, 'rephrase[1]: a text of 1 to 4000 characters, got the number 5'],
    [{ rephrase: Array(201).fill('x') }, 'rephrase: a list of at most 200 texts, got a list of 201'],
    [{ locality: [{}] }, 'locality[0].loc: a text of 1 to 4000 characters, got nothing'],
    [{ locality: 'x' }, 'locality: an object of lists of questions, got "x"'],
    [{ locality: { a: 'x' } }, 'locality.a: a list of questions, got "x"'],
    [{ portability: { a: [{ prompt: '{}' }] } }, 'portability.a[0].prompt: a text without {}, got "{}"'],
    [{ portability: { a: [5] } }, 'portability.a[0]: an object with a prompt, got the number 5'],
    [{ case_id: 1.5 }, 'case_id: a whole number or a text of 1 to 100 characters, got the number 1.5'],
    [{ subject: undefined }, 'subject: a text of 1 to 500 characters, got nothing'],
  ])('is rejected with the field, the requirement and the value: %#', async (change, reason) => {
    expect(await only({ ...easyedit, ...change })).toBe(reason);
  });

  it('is told from an edit of our own whose target is misspelt', async () => {
    const { format, rejected } = await parse({ subject: 'Ada', prompt: '{} works in', target: 'Rome' });
    expect(format).toBe('unknown');
    expect(rejected[0].reason).toContain('unknown field "target"');
  });

  it('is named where it follows records of another format', async () => {
    const { rejected } = await parse({ subject: 'Ada', prompt: '{} works in', targetNew: 'Rome' }, easyedit);
    expect(rejected[0].reason).toBe('a hookline record as before, got an EasyEdit record');
  });
});

import { describe, expect, it } from 'vitest';
import { completeEdit } from '../../../src/evaluation/index.js';
import {
  editSchema,
  solveRecordSchema,
  validationRecordSchema,
  versionMetricsSchema,
} from '../../../src/rounds/records.js';

const stored = { id: 'a', subject: 'Ada', prompt: '{} works in', targetNew: 'Rome', neighborhood: [], keep: ['{} is'] };

describe('a stored edit', () => {
  it('of an earlier release measured on its paraphrases and taught none', () => {
    expect(editSchema.parse({ ...stored, paraphrases: ['Ada is at'] })).toEqual({
      ...stored,
      aliases: [],
      paraphrases: [],
      testParaphrases: ['Ada is at'],
      portability: [],
    });
  });

  it('is read as it was written', () => {
    const edit = completeEdit({
      ...stored,
      aliases: ['Countess'],
      paraphrases: ['{} is at'],
      testParaphrases: ['Ada is found in'],
      portability: [{ prompt: 'Ada works in the country of', target: 'Italy' }],
    });
    expect(editSchema.parse(JSON.parse(JSON.stringify(edit)))).toEqual(edit);
  });

  it.each([
    null,
    5,
    'x',
    { ...stored },
    { ...stored, paraphrases: [5] },
    { ...stored, paraphrases: [], more: 1 },
  ])('that is damaged is refused: %#', (value) => {
    expect(editSchema.safeParse(value).success).toBe(false);
  });
});

describe('measures of an earlier release', () => {
  it('have no portability, ask nothing in chat, and bear other names', () => {
    const shares = {
      reliability: 1,
      generality: 1,
      locality: 1,
      sameSubjectLocality: 1,
      efficacySuccess: null,
      paraphraseSuccess: null,
      neighborhoodSuccess: null,
      score: null,
      retention: null,
      perplexityRatio: 1,
      klToBase: 0,
      swapRate: 0,
      writtenShareMedian: 1,
    };
    const more = { secondsForValues: 1, secondsForSolve: 1 };
    const stored = { ...shares, ...more, liveExactMatch: 1, edits: 3 };
    expect(versionMetricsSchema.parse(stored)).toEqual({ ...shares, ...more, said: 1, measured: 3 });
    const measurement = {
      id: 'a',
      reliability: 1,
      generality: [1],
      locality: [],
      sameSubjectLocality: [],
      paraphraseSuccess: [],
      neighborhoodSuccess: [],
      nll: 0.1,
    };
    const { measurements } = validationRecordSchema.parse({
      schemaVersion: 1,
      measurements: [measurement],
      firedBy: [null],
      before: [],
      answers: [],
      drift: null,
      retention: null,
      separation: null,
      gates: [],
    });
    expect(measurements).toEqual([{ ...measurement, portability: [] }]);
  });
});

describe('a solve of an earlier release', () => {
  const record = {
    schemaVersion: 1,
    editIds: ['a', 'b'],
    segmentSha256: 'a'.repeat(64),
    segmentSizeBytes: 1,
    writtenShare: [[1, 1]],
    valueSteps: [1, 1],
    valueLosses: [0, 0],
    secondsForValues: 1,
    secondsForSolve: 1,
    layers: [],
    thresholds: {},
  };

  it('had a row for each edit, under its id', () => {
    const memories = ['a', 'b'].map((id) => ({ id, editIds: [id], earlier: [] }));
    expect(solveRecordSchema.parse(record)).toEqual({ ...record, memories });
    const own = [{ id: 'm', editIds: ['a', 'b'], earlier: [{ version: 1, id: 'c' }] }];
    expect(solveRecordSchema.parse({ ...record, memories: own })).toEqual({ ...record, memories: own });
  });

  it.each([
    null,
    5,
    {},
    { ...record, editIds: undefined },
    { ...record, editIds: [5] },
  ])('is refused damaged: %#', (value) => {
    expect(solveRecordSchema.safeParse(value).success).toBe(false);
  });
});

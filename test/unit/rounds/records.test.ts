import { describe, expect, it } from 'vitest';
import { completeEdit } from '../../../src/evaluation/index.js';
import { editSchema, validationRecordSchema, versionMetricsSchema } from '../../../src/rounds/records.js';

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
  it('have no portability', () => {
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
      liveExactMatch: 1,
      perplexityRatio: 1,
      klToBase: 0,
      swapRate: 0,
      writtenShareMedian: 1,
    };
    const metrics = { ...shares, edits: 1, secondsForValues: 1, secondsForSolve: 1 };
    expect(versionMetricsSchema.parse(metrics)).toEqual(metrics);
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

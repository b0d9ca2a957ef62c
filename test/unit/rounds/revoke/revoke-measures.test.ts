import { describe, expect, it } from 'vitest';
import { completeEdit, type EditMeasurement } from '../../../../src/evaluation/index.js';
import { fallenBeyond, type RevokeMeasurement } from '../../../../src/rounds/revoke/revoke-measures.js';

const withReliability = (reliability: number): EditMeasurement => ({
  id: 'a',
  reliability,
  generality: [],
  portability: [],
  locality: [],
  sameSubjectLocality: [],
  paraphraseSuccess: [],
  neighborhoodSuccess: [],
  nll: 0,
});

const fallen = (before: number, after: number): RevokeMeasurement => ({
  edit: completeEdit({ id: 'a', subject: 's', prompt: '{}', targetNew: 't' }),
  before: withReliability(before),
  after: withReliability(after),
  texts: { before: '', after: '', base: '' },
  answer: { id: 'a', text: '', said: false },
  firedBy: null,
});

describe('a kept edit', () => {
  it('may lose exactly what is tolerated, although shares are rounded', () => {
    expect(4 / 5 - 3 / 5).toBeGreaterThan(0.2);
    expect(fallenBeyond(0.2, [fallen(4 / 5, 3 / 5)])).toEqual([]);
    expect(fallenBeyond(0.2, [fallen(4 / 5, 2 / 5), fallen(3 / 5, 4 / 5)])).toEqual([fallen(4 / 5, 2 / 5)]);
    expect(fallenBeyond(0, [fallen(1, 1), fallen(1, 100 / 101)])).toHaveLength(1);
  });
});

import { describe, expect, it } from 'vitest';
import type { EditMeasurement } from '../../../src/evaluation/index.js';
import { parseCriteria } from '../../../src/rounds/criteria.js';
import { type JudgedRound, judgeRound } from '../../../src/rounds/judge-round.js';

const measured = (id: string, reliability = 1): EditMeasurement => ({
  id,
  reliability,
  generality: [],
  portability: [],
  locality: [],
  sameSubjectLocality: [],
  paraphraseSuccess: [],
  neighborhoodSuccess: [],
  nll: 0.1,
});
const judged = (more: Partial<JudgedRound> & { readonly measurements?: readonly EditMeasurement[] }) => {
  const { measurements = [measured('a')], ...rest } = more;
  const measures = { measurements, drift: null, retention: null };
  return judgeRound({ measures, criteria: parseCriteria({}), attempt: 0, writable: 1, rejected: [], ...rest });
};

describe('a round', () => {
  it.each([null, parseCriteria({})])('of which no edit could be written is rejected with their reasons', (criteria) => {
    const rejected = [{ id: 'a', reason: 'prompt with its target: 1 to 512 tokens, got 708' }];
    expect(judged({ measurements: [], writable: 0, rejected, criteria })).toEqual({
      decision: 'reject',
      reason: 'rejected 1: a (prompt with its target: 1 to 512 tokens, got 708)',
      offenders: [],
    });
  });

  it('is solved again without an edit whose own prompt could not be measured, with the reason', () => {
    const reason = 'prompt with its target: 1 to 512 tokens, got 708';
    const measurements = [measured('a'), { ...measured('b', 0), nll: null, unmeasured: reason }];
    expect(judged({ measurements, writable: 2 })).toMatchObject({
      decision: 'repeat',
      offenders: [{ id: 'b', reason }],
    });
  });

  it('is solved again without a failed edit, however many others could not be written', () => {
    const measurements = [measured('a'), measured('b'), measured('c', 0)];
    const rejected = ['d', 'e', 'f', 'g'].map((id) => ({ id, reason: 'a test' }));
    expect(judged({ measurements, writable: 3, rejected })).toMatchObject({
      decision: 'repeat',
      offenders: [{ id: 'c' }],
    });
    expect(judged({ measurements, writable: 7, rejected })).toMatchObject({ decision: 'reject' });
  });
});

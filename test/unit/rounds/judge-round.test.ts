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
const judged = (more: Partial<Omit<JudgedRound, 'measures'> & JudgedRound['measures']>) => {
  const { measurements = [measured('a')], companions = [], ...rest } = more;
  const measures = { measurements, drift: null, retention: null, companions };
  const round = { criteria: parseCriteria({}), memories: [], attempt: 0, writable: 1, rejected: [] };
  return judgeRound({ ...round, ...rest, measures });
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

describe('an earlier fact of a subject of the round', () => {
  const memories = [
    { id: 'm1', editIds: ['a', 'b'], earlier: [{ version: 1, id: 'old' }] },
    { id: 'm2', editIds: ['c'], earlier: [{ version: 2, id: 'old' }] },
    { id: 'm3', editIds: ['d'], earlier: [] },
  ];
  const measurements = ['a', 'b', 'c', 'd'].map((id) => measured(id));
  const round = { memories, measurements, writable: 4 };

  it('that is lost rejects the new edits of its subject, and no others', () => {
    const reason = 'reliability of earlier edit old of the same subject: at least 1, got 0.5';
    const companions = [
      { version: 1, id: 'old', reliability: 0.5 },
      { version: 2, id: 'old', reliability: 1 },
    ];
    expect(judged({ ...round, companions })).toEqual({
      decision: 'repeat',
      reason: `rejected 2: a (${reason}), b (${reason})`,
      offenders: [
        { id: 'a', reason },
        { id: 'b', reason },
      ],
    });
    const other = companions.map((fact) => ({ ...fact, reliability: fact.version === 2 ? 0 : 1 }));
    expect(judged({ ...round, companions: other }).offenders.map(({ id }) => id)).toEqual(['c']);
  });

  it('is held: the round is published', () => {
    const companions = [{ version: 1, id: 'old', reliability: 1 }];
    expect(judged({ ...round, companions })).toEqual({ decision: 'publish', reason: '', offenders: [] });
  });

  it('is given another try without the edit that failed itself, before its others are rejected', () => {
    const companions = [{ version: 1, id: 'old', reliability: 0 }];
    const failed = measurements.map((edit) => (edit.id === 'b' ? { ...edit, reliability: 0 } : edit));
    expect(judged({ ...round, companions, measurements: failed })).toMatchObject({
      decision: 'repeat',
      offenders: [{ id: 'b', reason: 'reliability: at least 1, got 0' }],
    });
  });

  it('names each edit once, however many facts are lost with it', () => {
    const twice = [{ id: 'm1', editIds: ['a'], earlier: ['old', 'older'].map((id) => ({ version: 1, id })) }];
    const companions = ['old', 'older'].map((id) => ({ version: 1, id, reliability: 0 }));
    const { offenders } = judged({ ...round, memories: twice, companions });
    expect(offenders).toEqual([{ id: 'a', reason: expect.stringContaining('earlier edit old of the same subject') }]);
  });

  it('decides nothing where nothing is judged', () => {
    const companions = [{ version: 1, id: 'old', reliability: 0 }];
    expect(judged({ ...round, companions, criteria: null })).toMatchObject({ decision: 'publish' });
  });
});

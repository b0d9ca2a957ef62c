import { describe, expect, it } from 'vitest';
import { completeEdit, type EditMeasurement } from '../../../src/evaluation/index.js';
import { isSaid } from '../../../src/evaluation/said.js';
import { parseCriteria } from '../../../src/rounds/criteria.js';
import { type JudgedRound, judgeRound } from '../../../src/rounds/judge-round.js';
import { plannedEdit } from '../../../src/rounds/round-edits.js';

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
const planned = (id: string) => plannedEdit(completeEdit({ id, subject: id, prompt: '{} is', targetNew: 'X' }));
const answered = (id: string, text: string) => ({ id, text, said: isSaid(text, 'X') });
const judged = (more: Partial<Omit<JudgedRound, 'measures'> & JudgedRound['measures']>) => {
  const { measurements = [measured('a')], companions = [], ...rest } = more;
  const { answers = measurements.map(({ id }) => answered(id, 'X.')) } = more;
  const measures = { measurements, answers, drift: null, retention: null, companions };
  const plan = { edits: measurements.map(({ id }) => planned(id)) };
  const round = { criteria: parseCriteria({}), plan, memories: [], attempt: 0, writable: 1, rejected: [] };
  return judgeRound({ ...round, ...rest, measures });
};

describe('a round', () => {
  it.each([null, parseCriteria({})])('of which no edit could be written is rejected with their reasons', (criteria) => {
    const rejected = [{ id: 'a', reason: 'prompt with its target: 1 to 512 tokens, got 708' }];
    expect(judged({ measurements: [], writable: 0, rejected, criteria })).toMatchObject({
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

describe('what is said', () => {
  const measurements = ['a', 'b', 'c'].map((id) => measured(id));
  const reason = 'said "Xbox One" where "X" was to be said';
  const answers = [answered('a', ' Xbox  One'), answered('b', ' X.'), answered('c', ' X')];

  it('decides of an edit, whatever its reliability is', () => {
    const criteria = parseCriteria({});
    expect(judged({ measurements, answers, writable: 3 })).toEqual({
      decision: 'repeat',
      reason: `rejected 1: a (${reason})`,
      offenders: [{ id: 'a', reason }],
      criteria,
    });
    const lenient = parseCriteria({ editSaid: false, minSaid: 0.5 });
    expect(judged({ measurements, answers, writable: 3, criteria: lenient })).toMatchObject({ decision: 'publish' });
  });

  it('decides of the round where it may not be solved again', () => {
    const criteria = parseCriteria({ maxRepeats: 0 });
    expect(judged({ measurements, answers, writable: 3, criteria })).toMatchObject({
      decision: 'reject',
      reason: 'share of edits that are said: at least 0.9, got 0.6667',
    });
  });

  it('in chat decides on demand, of edits that were asked there', () => {
    const said = answers.map((answer) => ({ ...answer, text: 'X.', said: true }));
    const chat = { text: 'I do not know.', hasTarget: false };
    const asked = said.map((answer) => (answer.id === 'c' ? answer : { ...answer, chat }));
    expect(judged({ measurements, answers: asked, writable: 3 })).toMatchObject({ decision: 'publish' });
    const criteria = parseCriteria({ editInChat: true, minKeptShare: 0.3 });
    const wanted = 'in chat said "I do not know." where "X" was to be said';
    expect(judged({ measurements, answers: asked, writable: 3, criteria })).toMatchObject({
      decision: 'repeat',
      offenders: [
        { id: 'a', reason: wanted },
        { id: 'b', reason: wanted },
      ],
    });
  });

  it.each([0, 2])('by no edit at all is never published: attempt %i', (attempt) => {
    const none = answers.map((answer) => ({ ...answer, text: 'Xbox', said: false }));
    const criteria = parseCriteria({ minSaid: 0, minKeptShare: 0 });
    const { decision, reason } = judged({ measurements, answers: none, writable: 3, criteria, attempt });
    expect(decision).toBe('reject');
    expect(reason).toContain('got 0; rejected 3: a (said "Xbox" where "X" was to be said)');
  });

  it('by fewer edits than must be left is not published', () => {
    const two = answers.map((answer) => (answer.id === 'c' ? answer : { ...answer, text: 'Xbox', said: false }));
    const criteria = parseCriteria({ minSaid: 0 });
    expect(judged({ measurements, answers: two, writable: 3, criteria })).toMatchObject({
      decision: 'reject',
      reason: expect.stringContaining('edits that hold: at least 0.5 of 3, got 1'),
    });
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
    const reason = 'earlier edit old of the same subject: reliability: at least 1, got 0.5';
    const companions = [
      { version: 1, id: 'old', reliability: 0.5 },
      { version: 2, id: 'old', reliability: 1 },
    ];
    expect(judged({ ...round, companions })).toMatchObject({
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
    expect(judged({ ...round, companions })).toMatchObject({ decision: 'publish', reason: '', offenders: [] });
  });

  it('is given another try without the edit that failed itself, before its others are rejected', () => {
    const companions = [{ version: 1, id: 'old', reliability: 0 }];
    const failed = measurements.map((edit) => (edit.id === 'b' ? { ...edit, reliability: 0 } : edit));
    expect(judged({ ...round, companions, measurements: failed })).toMatchObject({
      decision: 'repeat',
      offenders: [{ id: 'b', reason: 'reliability: at least 1, got 0' }],
    });
  });

  it('must still be said, if it was', () => {
    const answer = answered('old', 'Xbox');
    const companions = [{ version: 1, id: 'old', reliability: 1, answer }];
    const fact = { version: 1, memory: 'm0', edit: planned('old') };
    const plan = { edits: measurements.map(({ id }) => planned(id)), earlier: [fact] };
    expect(judged({ ...round, companions, plan }).offenders[0]).toEqual({
      id: 'a',
      reason: 'earlier edit old of the same subject: said "Xbox" where "X" was to be said',
    });
    const unsaid = { ...plan, earlier: [{ ...fact, said: false }] };
    expect(judged({ ...round, companions, plan: unsaid })).toMatchObject({ decision: 'publish' });
    const lenient = parseCriteria({ editSaid: false });
    expect(judged({ ...round, companions, plan, criteria: lenient })).toMatchObject({ decision: 'publish' });
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

import { describe, expect, it } from 'vitest';
import type { Edit } from '../../../src/editing/index.js';
import { completeEdit, type EditInput } from '../../../src/evaluation/index.js';
import type { Manifest, ManifestEdit } from '../../../src/registry/index.js';
import type { EarlierFact } from '../../../src/rounds/records.js';
import { plannedEdit } from '../../../src/rounds/round-edits.js';
import {
  companionsOf,
  factsOf,
  firedBy,
  memoriesIn,
  memoriesOf,
  notWritten,
  type Subject,
  subjectsLeft,
  subjectsOf,
} from '../../../src/rounds/subjects.js';

const edit = (id: string, more: Partial<EditInput> = {}): Edit =>
  completeEdit({ id, subject: 'Ada', prompt: `{} ${id}`, targetNew: 'Oslo', ...more });
const earlier = (of: Edit, memory: string, version = 1): EarlierFact => ({ version, memory, edit: plannedEdit(of) });

const idsIn = (subjects: readonly Subject[]) => subjects.map((subject) => factsOf(subject).map(({ id }) => id));

describe('the subjects of a batch', () => {
  it('hold its edits by name, whatever its case, spaces and composition', () => {
    const edits = [edit('a', { subject: 'Ève  Doe' }), edit('b'), edit('c', { subject: 'ève doe'.normalize('NFD') })];
    const subjects = subjectsOf({}, edits);
    expect(idsIn(subjects)).toEqual([['a', 'c'], ['b']]);
    expect(subjects.map(({ edits: own }) => own)).toEqual([[edits[0], edits[2]], [edits[1]]]);
    expect(subjects[0]).toMatchObject({ names: ['Ève  Doe', 'ève doe'.normalize('NFD')], earlier: [], replaces: [] });
  });

  it('are one where an alias of the one names the other', () => {
    const aliased = edit('b', { subject: 'Countess', aliases: ['ADA'] });
    expect(idsIn(subjectsOf({}, [edit('a'), aliased, edit('c', { subject: 'Bob' })]))).toEqual([['a', 'b'], ['c']]);
    expect(subjectsOf({}, [edit('a'), aliased])[0].names).toEqual(['Ada', 'Countess', 'ADA']);
  });

  it('are one where a third joins them, through any number of names', () => {
    const chain = [
      edit('a', { subject: 'A', aliases: ['B'] }),
      edit('d', { subject: 'D' }),
      edit('c', { subject: 'C', aliases: ['D'] }),
    ];
    expect(idsIn(subjectsOf({}, chain))).toEqual([['a'], ['d', 'c']]);
    const link = edit('link', { subject: 'other', aliases: ['b', 'c'] });
    expect(idsIn(subjectsOf({}, [...chain, link]))).toEqual([['a', 'd', 'c', 'link']]);
    expect(idsIn(subjectsOf({}, [link, ...chain]))).toEqual([['link', 'a', 'd', 'c']]);
  });

  it('are one where both bear the same alias', () => {
    const both = ['X', 'Y'].map((subject) => edit(subject, { subject, aliases: ['Z'] }));
    expect(idsIn(subjectsOf({}, both))).toEqual([['X', 'Y']]);
  });
});

describe('the earlier facts of a subject', () => {
  const old = earlier(edit('old'), 'm1');

  it('come first, and their memories are replaced', () => {
    const [subject] = subjectsOf({ earlier: [old, earlier(edit('older'), 'm0')] }, [edit('new')]);
    expect(idsIn([subject])).toEqual([['old', 'older', 'new']]);
    expect(subject.replaces).toEqual(['m1', 'm0']);
    expect(memoriesIn([subject])).toEqual([
      {
        id: subject.id,
        editIds: ['new'],
        earlier: [
          { version: 1, id: 'old' },
          { version: 1, id: 'older' },
        ],
      },
    ]);
  });

  it('leave where they are overwritten, in whatever form, and their rows with them', () => {
    const overwriting = edit('new', { subject: 'ADA', prompt: '{}  OLD', targetNew: 'Rome' });
    const [subject] = subjectsOf({ earlier: [old, earlier(edit('stays'), 'm1')] }, [overwriting]);
    expect(idsIn([subject])).toEqual([['stays', 'new']]);
    expect(subject.replaces).toEqual(['m1']);
    const [alone] = subjectsOf({ earlier: [old] }, [overwriting]);
    expect(alone).toMatchObject({ earlier: [], replaces: ['m1'] });
  });

  it('stay as they are, and are not replaced, where nothing is written about them', () => {
    expect(subjectsOf({ earlier: [old] }, [])).toEqual([]);
    const other = edit('new', { subject: 'Bob' });
    expect(subjectsOf({ earlier: [old] }, [other])).toEqual(subjectsOf({}, [other]));
  });

  it('of two subjects are joined by a new edit that bears both names, and parted again without it', () => {
    const both = [old, earlier(edit('bob', { subject: 'Bob' }), 'm2')];
    const joining = edit('new', { aliases: ['Bob'] });
    const [joined] = subjectsOf({ earlier: both }, [joining]);
    expect(idsIn([joined])).toEqual([['old', 'bob', 'new']]);
    expect(joined.replaces).toEqual(['m1', 'm2']);
    expect(idsIn(subjectsOf({ earlier: both }, [edit('new')]))).toEqual([['old', 'new']]);
  });

  it('of release 0.1 that share an id are written again together, each in a memory of its own', () => {
    const shared = [
      earlier(edit('fact-1'), 'fact-1', 2),
      earlier({ ...edit('b', { subject: 'Bob' }), id: 'fact-1' }, 'fact-1', 3),
      earlier(edit('c', { subject: 'Carl' }), 'c', 3),
    ];
    const subjects = subjectsOf({ earlier: shared }, [edit('new')]);
    expect(subjects.map(({ names }) => names)).toEqual([['Ada'], ['Bob']]);
    expect(subjects.map(({ replaces }) => replaces)).toEqual([['fact-1'], ['fact-1']]);
    expect(memoriesIn(subjects)).toMatchObject([
      { editIds: ['new'], earlier: [{ version: 2, id: 'fact-1' }] },
      { editIds: [], earlier: [{ version: 3, id: 'fact-1' }] },
    ]);
    expect(new Set(subjects.map(({ id }) => id)).size).toBe(2);
  });

  it('without new ones are written again by subject, as after a revocation', () => {
    const left = [
      old,
      earlier(edit('b', { subject: 'Bob' }), 'm1'),
      earlier(edit('a', { subject: 'Augusta', aliases: ['ada'] }), 'm2'),
    ];
    const subjects = subjectsLeft(left);
    expect(idsIn(subjects)).toEqual([['old', 'a'], ['b']]);
    expect(subjects.map(({ replaces }) => replaces)).toEqual([['m1', 'm2'], ['m1']]);
    expect(subjects.map(({ edits }) => edits)).toEqual([[], []]);
    expect(subjectsLeft([])).toEqual([]);
  });
});

describe("a memory's id", () => {
  const idOf = (plan: Parameters<typeof subjectsOf>[0], edits: readonly Edit[]) => subjectsOf(plan, edits)[0].id;
  const [one, two] = [edit('one'), edit('two')];

  it('depends on names and facts alone: not on other subjects, their order, the round or what is measured', () => {
    const id = idOf({}, [one, two]);
    expect(id).toMatch(/^m-[0-9a-f]{16}$/);
    const bob = edit('bob', { subject: 'Bob' });
    expect(subjectsOf({}, [bob, one, two]).at(-1)!.id).toBe(id);
    expect(idOf({}, [one, bob, two])).toBe(id);
    expect(idOf({ earlier: [earlier(one, 'm1')] }, [two])).toBe(id);
    expect(idOf({ earlier: [earlier(one, 'another', 7)] }, [two])).toBe(id);
    expect(subjectsLeft([earlier(one, 'm1'), earlier(two, 'm1')])[0].id).toBe(id);
    expect(idOf({}, [{ ...one, testParaphrases: ['Ada is'], neighborhood: ['Bob is'] }, two])).toBe(id);
  });

  it.each([
    { id: 'other' },
    { subject: 'ADA' },
    { aliases: ['Countess'] },
    { prompt: '{} is' },
    { targetNew: 'Rome' },
    { paraphrases: ['{} is'] },
    { keep: ['{} is'] },
  ])('is another with %j', (more) => {
    expect(idOf({}, [{ ...one, ...more }, two])).not.toBe(idOf({}, [one, two]));
  });
});

describe('a subject that cannot be written', () => {
  const subject = (id: string, ...replaces: readonly string[]) => ({ id, replaces }) as unknown as Subject;
  const because = 'its rows also say facts that could not be written';

  it('leaves those unwritten that share a memory with it, through any number of them, and no others', () => {
    const subjects = [subject('d', 'm3'), subject('c', 'm2', 'm3'), subject('b', 'm1', 'm2'), subject('a', 'm1')];
    const others = [subject('e', 'm4'), subject('f')];
    const reasons = notWritten([...subjects, ...others], new Map([['a', 'a test']]));
    expect(Object.fromEntries(reasons)).toEqual({ a: 'a test', b: because, c: because, d: because });
    expect(notWritten(others, new Map([['f', 'a test']]))).toEqual(new Map([['f', 'a test']]));
    expect(notWritten(subjects, new Map()).size).toBe(0);
  });
});

describe('what the rows say', () => {
  const active = (of: Edit, more: Partial<ManifestEdit> = {}): ManifestEdit => {
    const { id, subject, prompt, targetNew } = of;
    return { id, subject, prompt, targetNew, status: 'active', version: 1, ...more };
  };
  const base = {
    edits: [
      active(edit('a')),
      active(edit('b'), { memory: 'm1' }),
      active(edit('c'), { memory: 'm1', status: 'revoked' }),
      active(edit('d'), { memory: 'm1', version: 2 }),
    ],
  } as unknown as Manifest;

  it('is told by memory: of the base, of release 0.1 and of the round', () => {
    const memories = [{ id: 'm2', editIds: ['new'], earlier: [{ version: 1, id: 'a' }] }];
    const says = memoriesOf(base, { memories });
    expect([...says]).toEqual([
      ['a', ['a']],
      ['m1', ['b', 'd']],
      ['m2', ['new', 'a']],
    ]);
    expect([...memoriesOf(undefined, { memories: [] })]).toEqual([]);
  });

  it('names the measured edit where its own memory opened, else the first that the memory says', () => {
    const says = new Map([['m', ['a', 'b']]]);
    const opened = (id: string, editIndex: number) =>
      firedBy({ id, firing: { layer: 0, tokenIndex: 0, editIndex, strength: 1 } }, ['x', 'm'], says);
    expect([opened('b', 1), opened('c', 1), opened('b', 0)]).toEqual(['b', 'a', null]);
    expect(firedBy({ id: 'b' }, ['x', 'm'], says)).toBeNull();
  });

  it('are earlier facts of the plan too: those that a memory of the solve says, by version and id', () => {
    const plan = { earlier: [earlier(edit('a'), 'm', 1), earlier(edit('a'), 'm', 2), earlier(edit('b'), 'm', 1)] };
    const memories = [{ id: 'm2', editIds: [], earlier: [{ version: 2, id: 'a' }] }];
    expect(companionsOf(plan, { memories })).toEqual([plan.earlier[1]]);
    expect(companionsOf(plan, { memories: [] })).toEqual([]);
    expect(companionsOf({}, { memories })).toEqual([]);
  });
});

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Edit } from '../../../../src/editing/index.js';
import { InvalidInputError } from '../../../../src/errors.js';
import { escapeHtml } from '../../../../src/evaluation/report/html.js';
import { latest } from '../../../../src/registry/index.js';
import type { RoundOutcome } from '../../../../src/rounds/session/edit-round.js';
import { type EditSession, openEditSession } from '../../../../src/rounds/session/edit-session.js';
import { BundledModel } from '../../../support/bundled-model.js';

const settings = { layers: [0], learningRate: 1, contextTokens: 4 };

let bundled: BundledModel;
let session: EditSession;
const notices: string[] = [];

beforeAll(async () => {
  bundled = await BundledModel.open(4);
  session = await openEditSession({ ...bundled, heldOut: [], settings });
});
afterAll(() => session.close());

async function edited(...edits: readonly Edit[]): Promise<RoundOutcome> {
  const listener = { onNotice: (text: string) => notices.push(text) };
  const { value } = await session.edit([edits], {}, listener).next();
  return value as RoundOutcome;
}

const factsOf = ({ manifest }: RoundOutcome) =>
  manifest!.edits.map(({ id, subject, targetNew, status }) => [id, subject, targetNew, status]);

describe('two facts under one id, in two batches', () => {
  it('are both kept when the first of them is overwritten', async () => {
    const [first, second] = bundled.edits;
    await edited({ ...first, id: 'fact-1' });
    const { renamed } = await edited({ ...second, id: 'fact-1' });
    expect(renamed).toEqual([{ from: 'fact-1', to: expect.stringMatching(/^fact-1~[0-9a-f]{12}$/) }]);
    const [{ to }] = renamed;
    expect(notices).toContain(`Edit fact-1 is written as ${to}: another edit bears its id`);
    const third = await edited({ ...first, id: 'fact-3', targetNew: second.targetNew });
    expect(factsOf(third)).toEqual([
      ['fact-1', first.subject, first.targetNew, 'overwritten'],
      [to, second.subject, second.targetNew, 'active'],
      ['fact-3', first.subject, second.targetNew, 'active'],
    ]);
    expect(third.metrics.retention).toBe(1);
    const { published } = await session.revoke({ ids: [to] });
    expect(published.manifest.edits.map(({ status }) => status)).toEqual(['overwritten', 'revoked', 'active']);
  });
});

describe('a round that the criteria reject', () => {
  it('publishes nothing, has a report, and lets the next one stand on what was there', async () => {
    const before = await latest(bundled.store, bundled.modelId);
    const strict = await openEditSession({
      ...bundled,
      heldOut: [],
      criteria: { minLocality: 1, minRetention: 1, minReliability: 1, editReliability: 1, maxRepeats: 0 },
    });
    const tooLong = { ...bundled.edits[2], targetNew: 'violet seventeen umbrella lantern gravel oblique marmalade' };
    const rounds = strict.edit([[tooLong], [bundled.edits[3]]]);
    const { value: first } = await rounds.next();
    expect(first).toMatchObject({ outcome: 'rejected', version: null, manifest: null });
    expect(first!.reason).toMatch(/^mean reliability: at least 1, got/);
    const report = await bundled.store.get(first!.reportKey);
    expect(new TextDecoder().decode(report.bytes)).toContain('This round was rejected');
    expect((await latest(bundled.store, bundled.modelId))!.version).toBe(before!.version);
    const { value: second } = await rounds.next();
    expect(second).toMatchObject({ outcome: 'published', version: before!.version + 1 });
    await strict.close();
  });
});

describe('a batch that is rejected twice', () => {
  it('has a report for each set of criteria', async () => {
    const reasons: string[] = [];
    for (const minReliability of [0.8, 0.9]) {
      const criteria = { minReliability, maxRepeats: 0 };
      const strict = await openEditSession({ ...bundled, heldOut: [], criteria });
      const tooLong = { ...bundled.edits[2], targetNew: 'violet seventeen umbrella lantern gravel oblique marmalade' };
      const { value } = await strict.edit([[tooLong]]).next();
      await strict.close();
      const report = await bundled.store.get(value!.reportKey);
      expect(new TextDecoder().decode(report.bytes).includes(escapeHtml(value!.reason)), value!.reason).toBe(true);
      reasons.push(value!.reason);
    }
    expect(reasons[1]).toMatch(/^mean reliability: at least 0.9, got/);
  });
});

describe('what cannot be written', () => {
  it('is a batch without edits', async () => {
    await expect(session.edit([[]]).next()).rejects.toThrow('at least one edit, got none');
  });
});

describe('a batch', () => {
  it('is of edits with what they need alone; the rest has defaults', async () => {
    const { subject, prompt, targetNew } = bundled.edits[3];
    const { value } = await session.edit([[{ subject, prompt, targetNew }]]).next();
    expect(value!.manifest!.edits.at(-1)).toMatchObject({ id: expect.stringMatching(/^[0-9a-f]{12}$/), targetNew });
  });

  it('has each id and each fact once: repetitions are renamed or rejected by name, and the rest is written', async () => {
    const [first, second] = bundled.edits;
    const { rejectedEdits, renamed, edits } = await edited(
      { ...first, id: 'p' },
      { ...first, id: 'q' },
      { ...second, id: 'p' },
    );
    expect(rejectedEdits).toEqual([{ id: 'q', reason: expect.stringMatching(/^duplicate: .* as on edit p$/) }]);
    expect(renamed).toEqual([{ from: 'p', to: expect.stringMatching(/^p~/) }]);
    expect(edits.map(({ id }) => id)).toEqual(['p', renamed[0].to]);
    expect(notices).toContain(`Edit q was rejected: ${rejectedEdits[0].reason}`);
  });

  it('is written on what others publish meanwhile', async () => {
    const own = { ...bundled.edits[0], id: 'late', targetNew: bundled.edits[1].targetNew };
    const other = await openEditSession({ ...bundled, heldOut: [], settings });
    const { value: theirs } = await other.edit([[{ ...bundled.edits[2], id: 'theirs' }]]).next();
    await other.close();
    const ours = await edited(own);
    expect(ours.version).toBe(theirs!.version! + 1);
    expect(ours.manifest!.edits.find(({ id }) => id === 'theirs')).toMatchObject({ status: 'active' });
    expect(notices).toContain(`version ${theirs!.version} became the latest meanwhile: the round begins again on it`);
  });
});

describe('an edit that the model cannot take', () => {
  const long = 'w '.repeat(600);

  it('is rejected by name with both numbers, and the others are published', async () => {
    const [first] = bundled.edits;
    const overlong = { ...bundled.edits[1], id: 'overlong', prompt: `${long}{} lives in` };
    const { outcome, edits, rejectedEdits, reportKey } = await edited({ ...first, id: 'fits' }, overlong);
    expect({ outcome, ids: edits.map(({ id }) => id) }).toEqual({ outcome: 'published', ids: ['fits'] });
    const reason = expect.stringMatching(/^prompt with its target: 1 to 512 tokens, got \d{3,}$/);
    expect(rejectedEdits).toEqual([{ id: 'overlong', reason }]);
    const report = new TextDecoder().decode((await bundled.store.get(reportKey)).bytes);
    expect(report).toContain('aria-label="Rejected edits"');
    expect(report).toContain(rejectedEdits[0].reason);
  });

  it('makes a round of such edits alone a rejected one, though nothing is judged', async () => {
    const before = await latest(bundled.store, bundled.modelId);
    const unjudged = await openEditSession({ ...bundled, heldOut: [], criteria: null });
    const alone = { ...bundled.edits[1], id: 'alone', prompt: `${long}{} lives in` };
    const { value } = await unjudged.edit([[alone]]).next();
    await unjudged.close();
    expect(value).toMatchObject({ outcome: 'rejected', version: null, edits: [] });
    expect(value!.reason).toMatch(/^rejected 1: alone \(prompt with its target: 1 to 512 tokens, got/);
    expect((await latest(bundled.store, bundled.modelId))!.version).toBe(before!.version);
  });

  it('is measured without the texts that are too long, and says so once', async () => {
    const [first] = bundled.edits;
    const partly = { ...first, id: 'partly', testParaphrases: [long, ...first.testParaphrases], neighborhood: [long] };
    const { measures, metrics, reportKey } = await edited(partly);
    const [{ generality, locality, leftOut }] = measures.measurements;
    expect([generality.length, locality.length]).toEqual([first.testParaphrases.length, 0]);
    expect(leftOut).toEqual([
      expect.stringMatching(/^testParaphrases\[0\]: 1 to 512 tokens, got \d{3,}$/),
      expect.stringMatching(/^neighborhood\[0\]: 1 to 512 tokens, got \d{3,}$/),
    ]);
    expect(metrics.generality).not.toBeNull();
    const note = `Edit partly was measured without what the model does not take: ${leftOut!.join('; ')}`;
    expect(notices.filter((notice) => notice === note)).toHaveLength(1);
    expect(new TextDecoder().decode((await bundled.store.get(reportKey)).bytes)).toContain(`${note}.`);
  });
});

describe('one fact in another spelling', () => {
  it('overwrites what was written before, and stays as it is written', async () => {
    const fresh = await BundledModel.open(1);
    const own = await openEditSession({ ...fresh, heldOut: [], settings, criteria: null });
    const [first] = fresh.edits;
    const variant = { ...first, id: 'variant', prompt: `${first.prompt.replaceAll(' ', '  ')}`, targetNew: 'Gorsend' };
    const rounds = own.edit([[first], [variant]]);
    await rounds.next();
    const { value } = await rounds.next();
    await own.close();
    expect(value!.manifest!.edits).toMatchObject([
      { id: first.id, status: 'overwritten' },
      { id: 'variant', prompt: variant.prompt, status: 'active', overwrites: first.id },
    ]);
    expect(value!.metrics.rivals).toBeUndefined();
  });
});

/** The same subject by its last word alone, as if it were another one. */
const underAnotherName = ({ subject, prompt, ...edit }: Edit, id: string, targetNew: string): Edit => {
  const [first, ...rest] = subject.split(' ');
  const others = { testParaphrases: [], neighborhood: [], portability: [] };
  return { ...edit, ...others, id, targetNew, subject: rest.join(' '), prompt: prompt.replace('{}', `${first} {}`) };
};

describe('one subject under two names', () => {
  it('that say different things are named: in one batch, and with an earlier version', async () => {
    const fresh = await BundledModel.open(2);
    const own = await openEditSession({ ...fresh, heldOut: [], settings, criteria: null });
    const told: string[] = [];
    const listener = { onNotice: (text: string) => told.push(text) };
    const [first, second] = fresh.edits;
    const again = underAnotherName(first, 'again', second.targetNew);
    const later = underAnotherName(second, 'later', first.targetNew);
    const rounds = own.edit([[first, second, again], [later]], {}, listener);
    const { value: one } = await rounds.next();
    const { value: two } = await rounds.next();
    await own.close();
    const similarity = expect.closeTo(1, 1);
    expect(one!.manifest!.metrics).toMatchObject({ rivals: [{ id: again.id, otherId: first.id, similarity }] });
    expect(two!.metrics.rivals).toEqual([{ id: 'later', otherId: second.id, similarity }]);
    const named = told.filter((text) => text.includes('opens the gate of'));
    expect(named).toHaveLength(2);
    expect(named[0]).toContain(`The prompt of edit ${again.id} (`);
    expect(named[0]).toContain(`-> ${second.targetNew}) opens the gate of edit ${first.id} (`);
    expect(named[1]).toContain(`of edit ${second.id} (`);
    const report = new TextDecoder().decode((await fresh.store.get(one!.reportKey)).bytes);
    expect(report).toContain('which says something else: similarity');
  });

  it('is one where an alias says so: its facts share a memory, and none is in the way of another', async () => {
    const fresh = await BundledModel.open(2);
    const own = await openEditSession({ ...fresh, heldOut: [], settings, criteria: null });
    const [first, second] = fresh.edits;
    const again = { ...underAnotherName(first, 'again', second.targetNew), prompt: 'Neighbours say that {} is from' };
    const rounds = own.edit([[first], [{ ...again, aliases: [first.subject] }]]);
    const { value: one } = await rounds.next();
    const { value: two } = await rounds.next();
    await own.close();
    const [before] = (one as RoundOutcome).manifest!.edits;
    const after = (two as RoundOutcome).manifest!.edits;
    expect(after.map(({ id, status }) => [id, status])).toEqual([
      [first.id, 'active'],
      ['again', 'active'],
    ]);
    expect(after[0].memory).toBe(after[1].memory);
    expect(after[0].memory).not.toBe(before.memory);
    expect(two!.metrics).toMatchObject({ reliability: 1, retention: 1 });
    expect(two!.metrics.rivals).toBeUndefined();
  });
});

describe('one fact in other words', () => {
  it('with another target is said beside the first by the value of their subject', async () => {
    const fresh = await BundledModel.open(2);
    const own = await openEditSession({ ...fresh, heldOut: [], settings, criteria: null });
    const [first, second] = fresh.edits;
    const others = { testParaphrases: [], neighborhood: [] };
    const prompt = first.prompt.replace('{}', '{} now');
    const again = { ...first, ...others, id: 'again', prompt, targetNew: second.targetNew };
    const { value } = await own.edit([[first, again]]).next();
    await own.close();
    const { measurements } = (value as RoundOutcome).measures;
    expect(measurements.map(({ reliability }) => reliability)).toEqual([1, 1]);
    expect(value!.metrics.rivals).toBeUndefined();
  });
});

describe('what cannot be opened', () => {
  it('is a setting that the versions contradict', async () => {
    const other = openEditSession({ ...bundled, heldOut: [], settings: { momentWeight: 0.9 } });
    await expect(other).rejects.toThrow(InvalidInputError);
    const misspelt = { heldOut: [], settings: { ...settings, stepz: 3 } } as object;
    await expect(openEditSession({ ...bundled, ...misspelt })).rejects.toThrow(/^hyperparameter set: .*stepz/);
    const impossible = openEditSession({ ...bundled, heldOut: [], criteria: { minReliability: 7 } });
    await expect(impossible).rejects.toThrow(/^criterion minReliability: /);
  });

  it('is a session that was closed', async () => {
    const other = await openEditSession({ ...bundled, heldOut: [], settings });
    await other.close();
    await other.close();
    await expect(other.edit([[bundled.edits[0]]]).next()).rejects.toThrow('edit session: an open one, got');
    await expect(other.revoke({ ids: ['late'] })).rejects.toThrow('edit session: an open one, got');
  });
});

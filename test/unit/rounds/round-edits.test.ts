import { describe, expect, it } from 'vitest';
import type { Edit } from '../../../src/editing/index.js';
import { completeEdit, type EditInput } from '../../../src/evaluation/index.js';
import type { ManifestEdit } from '../../../src/registry/index.js';
import { earlierEdits, nameEdits } from '../../../src/rounds/round-edits.js';

const edit = (id: string, more: Partial<EditInput> = {}): Edit =>
  completeEdit({ id, subject: `É ${id}`, prompt: '{} lives in', targetNew: 'Oslo', ...more });
const active = (of: Edit): ManifestEdit => {
  const { id, subject, prompt, targetNew } = of;
  return { id, subject, prompt, targetNew, status: 'active', version: 1 };
};

describe('the edits of a round', () => {
  it('overwrite the active edits of their fact, in whatever form it was written', () => {
    const base = { edits: [active(edit('a')), active(edit('b'))] };
    const variant = edit('new', { subject: 'É a'.normalize('NFD'), targetNew: 'Rome' });
    expect(nameEdits([variant], base)).toEqual({
      edits: [variant],
      overwrites: [{ newId: 'new', oldId: 'a' }],
    });
  });

  it('overwrite both of two active edits that contradict each other in another form', () => {
    const other = edit('b', { subject: 'é  A', targetNew: 'Rome' });
    const base = { edits: [active(edit('a')), active(other)] };
    const { overwrites } = nameEdits([edit('new', { subject: 'É a' })], base);
    expect(overwrites.map(({ oldId }) => oldId)).toEqual(['a', 'b']);
  });

  it('are refused by name where they contradict or repeat each other, and the rest stays', () => {
    const written = [
      edit('a'),
      edit('b', { subject: 'é A', targetNew: 'Rome' }),
      edit('c'),
      edit('d', { subject: 'É c' }),
      edit('e'),
    ];
    const { edits, refused, overwrites } = nameEdits(written, { edits: [active(edit('a')), active(edit('e'))] });
    expect(edits).toEqual(written);
    expect(overwrites).toEqual([{ newId: 'e', oldId: 'e' }]);
    expect(refused).toEqual([
      {
        id: 'a',
        reason: expect.stringMatching(/^conflict: .* another on edit b \("Rome"\) \(subject or prompt differ/),
      },
      { id: 'b', reason: expect.stringMatching(/^conflict: .* another on edit a/) },
      { id: 'd', reason: expect.stringMatching(/^duplicate: .* as on edit c$/) },
    ]);
  });

  it('get ids of their own where two of them bear one', () => {
    const written = [edit('a'), { ...edit('b'), id: 'a' }];
    const { edits, renamed, refused } = nameEdits(written, undefined);
    expect(edits.map(({ id }) => id)).toEqual(['a', expect.stringMatching(/^a~[0-9a-f]{12}$/)]);
    expect(renamed).toEqual([{ from: 'a', to: edits[1].id }]);
    expect(refused).toBeUndefined();
  });

  it('take over an id that release 0.1 gave several facts only if they overwrite all of them', () => {
    const shared = [edit('a'), { ...edit('b'), id: 'a' }, { ...edit('c'), id: 'a' }];
    const base = { edits: shared.map(active) };
    const one = nameEdits([edit('a', { targetNew: 'Rome' })], base);
    expect(one.edits.map(({ id }) => id)).toEqual([expect.stringMatching(/^a~[0-9a-f]{12}$/)]);
    expect(one.overwrites).toEqual([{ newId: one.edits[0].id, oldId: 'a' }]);
    const alone = nameEdits([edit('a', { targetNew: 'Rome' })], { edits: [active(edit('a'))] });
    expect(alone.edits.map(({ id }) => id)).toEqual(['a']);
    // No fact is written again under another id: their subjects do that.
    expect(one.edits).toHaveLength(1);
  });

  it('leave those of the base alone whose memory is not removed', () => {
    const [first, second] = [active(edit('a')), { ...active(edit('b')), memory: 'm' }];
    const base = { edits: [first, second, { ...active(edit('c')), memory: 'm', status: 'revoked' as const }] };
    expect(earlierEdits(base, ['b'])).toEqual([first, second]);
    expect(earlierEdits(base, ['m'])).toEqual([first]);
    expect(earlierEdits(base, ['a', 'm'])).toEqual([]);
    expect(earlierEdits(undefined, [])).toEqual([]);
  });
});

import { describe, expect, it } from 'vitest';
import type { Edit } from '../../../src/editing/index.js';
import { completeEdit, type EditInput } from '../../../src/evaluation/index.js';
import type { ManifestEdit } from '../../../src/registry/index.js';
import { nameEdits } from '../../../src/rounds/round-edits.js';

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
});

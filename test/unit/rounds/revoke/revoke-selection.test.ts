import { describe, expect, it } from 'vitest';
import { InvalidInputError } from '../../../../src/errors.js';
import type { ManifestEdit } from '../../../../src/registry/index.js';
import { closestNames } from '../../../../src/rounds/revoke/closest-names.js';
import { notRestored, type RevokeSelection, revokeSelection } from '../../../../src/rounds/revoke/revoke-selection.js';
import { draftEdit } from '../../../support/manifest-draft.js';

const edit = (id: string, version: number, more: Partial<ManifestEdit> = {}): ManifestEdit => ({
  ...draftEdit(id),
  version,
  ...more,
});

/** Version 3: `b` was overwritten by `e`, `c` was revoked, `a` was revoked and written again. */
const edits = [
  edit('a', 1, { status: 'revoked' }),
  edit('b', 1, { status: 'overwritten', subject: 'Ada' }),
  edit('c', 1, { status: 'revoked' }),
  edit('d', 1, { subject: 'Ada Lovelace' }),
  edit('e', 2, { subject: 'Ada', overwrites: 'b' }),
  edit('f', 2, { subject: 'Ada' }),
  edit('a', 3),
];
const chosen = (selection: Partial<RevokeSelection>) =>
  revokeSelection({ version: 3, edits }, { ids: [], ...selection }).map(({ id, version }) => `${id}${version}`);
const messageOf = (selection: Partial<RevokeSelection>) => {
  try {
    chosen(selection);
  } catch (error) {
    expect(error).toBeInstanceOf(InvalidInputError);
    return (error as Error).message;
  }
  throw new Error('nothing was thrown');
};

describe('what is to be revoked', () => {
  it('is of a subject in any Unicode form, white space and case', () => {
    const subject = 'Zoë\u00a0Łódź';
    const written = [edit('x', 1, { subject: 'Zoë Łódź'.normalize('NFD') }), edit('y', 1, { subject: 'ZOË ŁÓDŹ' })];
    const found = revokeSelection({ version: 1, edits: written }, { ids: [], subject });
    expect(found.map(({ id }) => id)).toEqual(['x', 'y']);
  });

  it('is named by id, version and exact subject, or by several of them, each edit once', () => {
    expect(chosen({ ids: ['f', 'd', 'f'] })).toEqual(['d1', 'f2']);
    expect(chosen({ allOf: 2 })).toEqual(['e2', 'f2']);
    expect(chosen({ allOf: 1 })).toEqual(['d1']);
    expect(chosen({ subject: 'Ada' })).toEqual(['e2', 'f2']);
    expect(chosen({ ids: ['f'], allOf: 1, subject: 'Ada' })).toEqual(['d1', 'e2', 'f2']);
  });

  it('is the active edit of an id, whatever had it before, and all of them where several have', () => {
    expect(chosen({ ids: ['a'] })).toEqual(['a3']);
    const twice = [...edits, edit('d', 3)];
    const both = revokeSelection({ version: 3, edits: twice }, { ids: [], subject: 'Ada Lovelace' });
    expect(both.map(({ version }) => version)).toEqual([1, 3]);
  });

  it('is refused as a whole, with all that is wrong in one message', () => {
    expect(messageOf({ ids: ['d', 'x', 'b', 'c'] })).toBe(
      'edits to revoke from version 3: active ones (d, e, f, a), got x, which is unknown (perhaps d, e, f); ' +
        'b, which was overwritten by e of version 2; c, which is revoked already',
    );
    expect(messageOf({ allOf: 7, subject: 'Ada Lovelac' })).toContain(
      'got those of version 7, which wrote none (active ones are of versions 1, 2, 3); ' +
        'those of subject "Ada Lovelac", of which none is active (perhaps "Ada Lovelace")',
    );
    expect(messageOf({})).toBe('edits to revoke: ids, a version (--all-of) or a subject (--subject), got none');
    const gone = edits.map((each): ManifestEdit => ({ ...each, status: 'revoked' }));
    const nothing = () => revokeSelection({ version: 4, edits: gone }, { ids: ['a'], allOf: 2 });
    expect(nothing).toThrow('a, which is revoked already; those of version 2, of whose 2 none is active any more');
  });
});

describe('an edit that a revoked one had overwritten', () => {
  it('is named, and only that', () => {
    const revoked = edits.filter(({ id }) => ['d', 'e', 'f'].includes(id));
    expect(notRestored(edits, revoked)).toEqual([{ revokedId: 'e', earlier: edits[1] }]);
    const renewed = [edit('b', 1, { status: 'overwritten' }), edit('b', 2, { overwrites: 'b' })];
    expect(notRestored(renewed, renewed.slice(1))).toEqual([{ revokedId: 'b', earlier: renewed[0] }]);
  });
});

describe('names like a misspelt one', () => {
  it('are the nearest ones first, and none that have little to do with it', () => {
    const known = ['r1-10', 'r1-09', 'r2-19', 'r1-19', 'ada', 'r1-19'];
    expect(closestNames('R1-19', known)).toEqual(['r1-19', 'r1-10', 'r1-09']);
    expect(closestNames('2f1c7e0b9a44', known)).toEqual([]);
    expect(closestNames('Doskymo Honix', ['Doskymo Honnix', 'Kymix'])).toEqual(['Doskymo Honnix']);
  });
});

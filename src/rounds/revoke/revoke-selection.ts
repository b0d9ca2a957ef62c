/** @file Which edits of a version are to be revoked. */
import { InvalidInputError } from '../../errors.js';
import { comparable } from '../../evaluation/index.js';
import type { Manifest, ManifestEdit } from '../../registry/index.js';
import { closestNames } from './closest-names.js';

/** What selects edits: every edit that fits any of these. */
export interface RevokeSelection {
  readonly ids: readonly string[];
  /** All active edits that this version wrote. */
  readonly allOf?: number;
  /** All active edits of this subject, in whatever Unicode form, white space and case. */
  readonly subject?: string;
}

/**
 * The selected active edits of a version, in the order in which they were written.
 *
 * @throws {InvalidInputError} naming everything that selects no active edit, and similar names
 */
export function revokeSelection(
  manifest: Pick<Manifest, 'version' | 'edits'>,
  selection: RevokeSelection,
): readonly ManifestEdit[] {
  const { ids, allOf, subject } = selection;
  if (ids.length === 0 && allOf === undefined && subject === undefined) {
    throw new InvalidInputError('edits to revoke', 'ids, a version (--all-of) or a subject (--subject)', 'none');
  }
  const active = manifest.edits.filter(({ status }) => status === 'active');
  const wanted = new Set(ids);
  const problems = [
    ...[...wanted].flatMap((id) => problemOfId(id, manifest.edits, active)),
    ...(allOf === undefined ? [] : problemOfVersion(allOf, manifest.edits, active)),
    ...(subject === undefined ? [] : problemOfSubject(subject, active)),
  ];
  if (problems.length > 0) {
    const what = `edits to revoke from version ${manifest.version}`;
    throw new InvalidInputError(what, `active ones (${shortList(active.map(({ id }) => id))})`, problems.join('; '));
  }
  for (const edit of active) {
    if (edit.version === allOf || (subject !== undefined && isOfSubject(edit, subject))) wanted.add(edit.id);
  }
  return active.filter(({ id }) => wanted.has(id));
}

/** An edit that a revoked one had overwritten. Revoking does not restore it. */
export interface NotRestored {
  readonly revokedId: string;
  readonly earlier: ManifestEdit;
}

/** The earlier edits that revoked ones had overwritten. */
export function notRestored(edits: readonly ManifestEdit[], revoked: readonly ManifestEdit[]): NotRestored[] {
  return revoked.flatMap((edit) => {
    const earlier = edits.findLast((old) => old.id === edit.overwrites && old.version < edit.version);
    return earlier === undefined ? [] : [{ revokedId: edit.id, earlier }];
  });
}

function problemOfId(id: string, edits: readonly ManifestEdit[], active: readonly ManifestEdit[]): string[] {
  if (active.some((edit) => edit.id === id)) return [];
  const found = edits.findLast((edit) => edit.id === id);
  if (found === undefined) {
    return [`${id}, which is unknown${hintFrom(id, active)}`];
  }
  if (found.status === 'revoked') return [`${id}, which is revoked already`];
  const by = edits.find((edit) => edit.overwrites === id && edit.version > found.version);
  return [`${id}, which was overwritten${by === undefined ? '' : ` by ${by.id} of version ${by.version}`}`];
}

function hintFrom(id: string, active: readonly ManifestEdit[]): string {
  const closest = closestNames(
    id,
    active.map((edit) => edit.id),
  );
  return closest.length === 0 ? '' : ` (perhaps ${closest.join(', ')})`;
}

function problemOfVersion(version: number, edits: readonly ManifestEdit[], active: readonly ManifestEdit[]): string[] {
  if (active.some((edit) => edit.version === version)) return [];
  const written = edits.filter((edit) => edit.version === version).length;
  const versions = [...new Set(active.map((edit) => edit.version))];
  const has = written === 0 ? 'which wrote none' : `of whose ${written} none is active any more`;
  return [`those of version ${version}, ${has} (active ones are of versions ${shortList(versions) || 'none'})`];
}

function problemOfSubject(subject: string, active: readonly ManifestEdit[]): string[] {
  if (active.some((edit) => isOfSubject(edit, subject))) return [];
  const subjects = active.map((edit) => edit.subject);
  const closest = closestNames(subject, subjects).map((name) => JSON.stringify(name));
  const hint = closest.length === 0 ? '' : ` (perhaps ${closest.join(', ')})`;
  return [`those of subject ${JSON.stringify(subject)}, of which none is active${hint}`];
}

const isOfSubject = (edit: ManifestEdit, subject: string): boolean => comparable(edit.subject) === comparable(subject);

const shownItems = 5;

function shortList(items: readonly (string | number)[]): string {
  const rest = items.length - shownItems;
  return items.slice(0, shownItems).join(', ') + (rest > 0 ? ` and ${rest} more` : '');
}

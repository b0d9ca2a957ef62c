/** @file The edits of a round: under which ids they are written, which edits they overwrite, and which stay active beside them. */
import type { Edit } from '../editing/index.js';
import { completeEdit, contentId, overwrites, resolveConflicts } from '../evaluation/index.js';
import { type Manifest, type ManifestEdit, memoryOf } from '../registry/index.js';
import type { RejectedEdits, RoundPlan } from './records.js';

/** What of an earlier edit its retention is measured on. */
export type EarlierEdit = Pick<Edit, 'id' | 'subject' | 'prompt' | 'targetNew'>;

/** An edit that is written under another id than its batch gave it. */
export interface RenamedEdit {
  readonly from: string;
  readonly to: string;
}

/**
 * The edits of a round, each under an id of its own, those that they overwrite, those that were given another id, and
 * those that cannot be written together with the others.
 */
export type NamedEdits = Pick<RoundPlan, 'edits' | 'overwrites' | 'renamed' | 'refused'>;

/**
 * Names a round's edits, and finds the edits of the base that they overwrite: those of the same fact. An id stands for one
 * active fact. An edit whose id belongs to another edit of the round, or to an active edit of another fact, is written as
 * `<id>~<content id>`. Of edits that contradict or repeat each other, those are refused that a batch file would lose.
 *
 * @param base the version that the round stands on; undefined before the first
 */
export function nameEdits(written: readonly Edit[], base: Pick<Manifest, 'edits'> | undefined): NamedEdits {
  const active = activeOf(base).map(bareEdit);
  const activeIds = new Set(active.map(({ id }) => id));
  const usedIds = new Set([...activeIds, ...written.map(({ id }) => id)]);
  const withOwnId = (edit: Edit): Edit => {
    let id = `${edit.id}~${contentId(edit)}`;
    while (usedIds.has(id)) id += '~';
    usedIds.add(id);
    return { ...edit, id };
  };
  const firstOfId = new Map(written.toReversed().map((edit) => [edit.id, edit]));
  const distinct = written.map((edit) => (firstOfId.get(edit.id) === edit ? edit : withOwnId(edit)));
  const oldIdsOf = new Map<string, string[]>();
  for (const { newId, oldId } of overwrites(distinct, active)) {
    oldIdsOf.set(newId, [...(oldIdsOf.get(newId) ?? []), oldId]);
  }
  const named = distinct.map((edit, e) => {
    const oldIds = oldIdsOf.get(edit.id) ?? [];
    // Bases of release 0.1 may hold several active facts under one id: all of them must be overwritten to free it.
    const holders = active.filter(({ id }) => id === edit.id).length;
    const isFree = holders === oldIds.filter((oldId) => oldId === edit.id).length;
    return { from: written[e].id, oldIds, edit: isFree ? edit : withOwnId(edit) };
  });
  const { refused } = resolveConflicts(named.map(({ edit }) => ({ edit, place: `edit ${edit.id}` })));
  const refusedIds = new Set(refused.map(({ candidate }) => candidate.edit.id));
  const renamed = named.flatMap(({ from, edit }) => (edit.id === from ? [] : [{ from, to: edit.id }]));
  return {
    edits: named.map(({ edit }) => plannedEdit(edit)),
    overwrites: named
      .filter(({ edit }) => !refusedIds.has(edit.id))
      .flatMap(({ edit, oldIds }) => oldIds.map((oldId) => ({ newId: edit.id, oldId }))),
    ...(renamed.length > 0 && { renamed }),
    ...(refused.length > 0 && { refused: refused.map(({ candidate, reason }) => ({ id: candidate.edit.id, reason })) }),
  };
}

/** What a user is told of an edit that was given another id: a sentence without its full stop. */
export const renamedText = ({ from, to }: RenamedEdit): string =>
  `Edit ${from} is written as ${to}: another edit bears its id`;

/** Edits of the base that a round does not touch. @param removedIds memories that the round removes */
export function earlierEdits(
  base: Pick<Manifest, 'edits'> | undefined,
  removedIds: readonly string[],
): readonly ManifestEdit[] {
  return activeOf(base).filter((edit) => !removedIds.includes(memoryOf(edit)));
}

/** The edits of a plan without the rejected ones. */
export function keptEdits(edits: readonly Edit[], rejected: RejectedEdits): readonly Edit[] {
  const ids = new Set(rejected.map(({ id }) => id));
  return edits.filter(({ id }) => !ids.has(id));
}

/** An edit without the prompts beside its own: manifests do not hold them. */
export function bareEdit({ id, subject, prompt, targetNew, targetTrue }: EarlierEdit & Pick<Edit, 'targetTrue'>): Edit {
  return completeEdit({ id, subject, prompt, targetNew, ...(targetTrue !== undefined && { targetTrue }) });
}

/** The active edits of a version; none before the first. */
export const activeOf = (base: Pick<Manifest, 'edits'> | undefined): readonly ManifestEdit[] =>
  (base?.edits ?? []).filter(({ status }) => status === 'active');

/** An edit as plans store it. */
export const plannedEdit = (edit: Edit): RoundPlan['edits'][number] => ({
  ...edit,
  aliases: [...edit.aliases],
  paraphrases: [...edit.paraphrases],
  testParaphrases: [...edit.testParaphrases],
  neighborhood: [...edit.neighborhood],
  keep: [...edit.keep],
  portability: [...edit.portability],
});

/** @file Conflicts between edits of one batch, and edits that overwrite those of earlier versions. */
import type { Edit } from '../editing/index.js';
import { comparable, factOf } from './fact.js';
import { describeInput } from './record-reason.js';

const NAMED_PLACES = 5;

/** An edit, and its place among others. */
export interface Candidate {
  readonly edit: Edit;
  /** In words, such as `line 3`. */
  readonly place: string;
}

/** The candidates that can be written together, and the others with the reason. */
export interface Resolution<C extends Candidate> {
  readonly accepted: readonly C[];
  readonly refused: readonly { readonly candidate: C; readonly reason: string }[];
}

/**
 * Rejects edits that cannot be in one batch: those of one fact with different targets (all of them), repetitions of an
 * edit, and repetitions of an id (all but the first).
 */
export function resolveConflicts<C extends Candidate>(candidates: readonly C[]): Resolution<C> {
  const accepted: C[] = [];
  const refused: { candidate: C; reason: string }[] = [];
  const groups = byFact(candidates, ({ edit }) => edit);
  const placeOfId = new Map<string, string>();
  for (const candidate of candidates) {
    const { edit, place } = candidate;
    const reason = conflictIn(groups.get(factOf(edit))!, candidate) ?? idTaken(edit.id, placeOfId.get(edit.id));
    if (reason === undefined) {
      accepted.push(candidate);
      placeOfId.set(edit.id, place);
    } else refused.push({ candidate, reason });
  }
  return { accepted, refused };
}

function byFact<T>(items: readonly T[], editOf: (item: T) => Edit): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const fact = factOf(editOf(item));
    const group = groups.get(fact);
    if (group === undefined) groups.set(fact, [item]);
    else group.push(item);
  }
  return groups;
}

function conflictIn(group: readonly Candidate[], candidate: Candidate): string | undefined {
  const { edit } = candidate;
  const others = group.filter((other) => comparable(other.edit.targetNew) !== comparable(edit.targetNew));
  if (others.length > 0) {
    const places = others
      .slice(0, NAMED_PLACES)
      .map((other) => `${other.place} (${describeInput(other.edit.targetNew)})`);
    const rest = others.length - places.length;
    const named = places.join(', ') + (rest > 0 ? ` and ${rest} more` : '');
    const variant = variantNote(edit, others);
    return `conflict: one target for each subject and prompt, got ${describeInput(edit.targetNew)} here and another on ${named}${variant}`;
  }
  const [first] = group;
  return first === candidate
    ? undefined
    : `duplicate: each edit once, got the same subject, prompt and target as on ${first.place}${variantNote(edit, [first])}`;
}

/** Variants may look alike, so that a reader would look for the difference in vain. */
function variantNote({ subject, prompt }: Edit, others: readonly Candidate[]): string {
  const isSame = others.every(({ edit }) => edit.subject === subject && edit.prompt === prompt);
  return isSame ? '' : ' (subject or prompt differ in Unicode form, white space or case alone)';
}

function idTaken(id: string, place: string | undefined): string | undefined {
  return place === undefined ? undefined : `id: unique in the batch, got ${describeInput(id)} as on ${place}`;
}

/** An edit that replaces one of an earlier version. */
export interface Overwrite {
  readonly newId: string;
  readonly oldId: string;
}

/**
 * The edits that overwrite some of an earlier version, being of the same fact.
 *
 * @param earlier active edits of the earlier version; of one fact there may be several, and all are overwritten
 */
export function overwrites(edits: readonly Edit[], earlier: readonly Edit[]): Overwrite[] {
  const ofFact = byFact(earlier, (edit) => edit);
  return edits.flatMap((edit) => (ofFact.get(factOf(edit)) ?? []).map(({ id: oldId }) => ({ newId: edit.id, oldId })));
}

/** @file Conflicts between edits of one batch, and edits that overwrite those of earlier versions. */
import type { Edit } from '../editing/index.js';
import { describeInput } from './record-reason.js';

const NAMED_LINES = 5;

/** A record that fits its schema, and its place in the file. */
export interface Candidate {
  readonly edit: Edit;
  readonly lineNumber: number;
  readonly excerpt: string;
}

/** The candidates that can be written together, and the others with the reason. */
export interface Resolution {
  readonly accepted: readonly Candidate[];
  readonly refused: readonly { readonly candidate: Candidate; readonly reason: string }[];
}

/**
 * Rejects edits that cannot be in one batch: those of one subject and prompt with different targets (all of them),
 * repetitions of an edit, and repetitions of an id (all but the first).
 */
export function resolveConflicts(candidates: readonly Candidate[]): Resolution {
  const accepted: Candidate[] = [];
  const refused: { candidate: Candidate; reason: string }[] = [];
  const groups = groupByFact(candidates);
  const lineOfId = new Map<string, number>();
  for (const candidate of candidates) {
    const { edit, lineNumber } = candidate;
    const reason = conflictIn(groups.get(factOf(edit))!, candidate) ?? idTaken(edit.id, lineOfId.get(edit.id));
    if (reason === undefined) {
      accepted.push(candidate);
      lineOfId.set(edit.id, lineNumber);
    } else refused.push({ candidate, reason });
  }
  return { accepted, refused };
}

function groupByFact(candidates: readonly Candidate[]): Map<string, Candidate[]> {
  const groups = new Map<string, Candidate[]>();
  for (const candidate of candidates) {
    const group = groups.get(factOf(candidate.edit));
    if (group === undefined) groups.set(factOf(candidate.edit), [candidate]);
    else group.push(candidate);
  }
  return groups;
}

function factOf(edit: Edit): string {
  return JSON.stringify([edit.subject, edit.prompt]);
}

function conflictIn(group: readonly Candidate[], { edit, lineNumber }: Candidate): string | undefined {
  const others = group.filter((other) => other.edit.targetNew !== edit.targetNew);
  if (others.length > 0) {
    const lines = others
      .slice(0, NAMED_LINES)
      .map((other) => `line ${other.lineNumber} (${describeInput(other.edit.targetNew)})`);
    const rest = others.length - lines.length;
    const named = lines.join(', ') + (rest > 0 ? ` and ${rest} more` : '');
    return `conflict: one target for each subject and prompt, got ${describeInput(edit.targetNew)} here and another on ${named}`;
  }
  const first = group[0];
  return first.lineNumber === lineNumber && first.edit === edit
    ? undefined
    : `duplicate: each edit once, got the same subject, prompt and target as on line ${first.lineNumber}`;
}

function idTaken(id: string, lineNumber: number | undefined): string | undefined {
  return lineNumber === undefined
    ? undefined
    : `id: unique in the batch, got ${describeInput(id)} as on line ${lineNumber}`;
}

/** An edit that replaces one of an earlier version. */
export interface Overwrite {
  readonly newId: string;
  readonly oldId: string;
}

/**
 * The edits that overwrite some of an earlier version, with the same subject and the same prompt.
 *
 * @param earlier active edits of the earlier version; of one fact there may be several, and all are overwritten
 */
export function overwrites(edits: readonly Edit[], earlier: readonly Edit[]): Overwrite[] {
  const oldIds = new Map<string, string[]>();
  for (const edit of earlier) oldIds.set(factOf(edit), [...(oldIds.get(factOf(edit)) ?? []), edit.id]);
  return edits.flatMap((edit) => (oldIds.get(factOf(edit)) ?? []).map((oldId) => ({ newId: edit.id, oldId })));
}

/** The id, or the subject and prompt, that two edits share; undefined where no two do. */
export function repeatedIn(edits: readonly Edit[]): string | undefined {
  const seen = new Set<string>();
  for (const edit of edits) {
    const { id, subject, prompt } = edit;
    if (seen.has(id)) return `id ${describeInput(id)} twice`;
    if (seen.has(factOf(edit))) return `${describeInput(prompt)} of ${describeInput(subject)} twice`;
    seen.add(id).add(factOf(edit));
  }
  return undefined;
}

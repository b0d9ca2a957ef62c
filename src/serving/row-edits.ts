/** @file What the rows of hooks say: one subject each, with all its facts. */
import { InvalidInputError } from '../errors.js';
import { type Manifest, type ManifestEdit, memoryOf } from '../registry/index.js';

/** What a row of hooks says. All rows of one memory say the same. */
export interface RowEdits {
  /** As the first of its edits has it. */
  readonly subject: string;
  /** Ids of the active edits of the row's memory, in the order of all edits. At least one. */
  readonly editIds: readonly string[];
}

/**
 * What each row says. Before 0.2 every edit had a row of its own, under its own id, which two edits could share: their rows are
 * in the order of the edits.
 *
 * @param rowIds the memory of each row
 * @param active the active edits
 * @throws {InvalidInputError} if a row's memory has no active edit
 */
export function rowEditsOf(
  rowIds: readonly string[],
  active: readonly Pick<ManifestEdit, 'id' | 'subject' | 'memory'>[],
): RowEdits[] {
  const said = new Map<string, { readonly subject: string; readonly editIds: string[] }[]>();
  for (const edit of active) {
    const { id, subject, memory } = edit;
    const known = said.get(memoryOf(edit)) ?? [];
    if (known.length === 0 || memory === undefined) known.push({ subject, editIds: [id] });
    else known[0].editIds.push(id);
    said.set(memoryOf(edit), known);
  }
  const seen = new Map<string, number>();
  return rowIds.map((rowId, row) => {
    const own = said.get(rowId) ?? [];
    const place = own.length === 1 ? 0 : (seen.get(rowId) ?? 0);
    seen.set(rowId, place + 1);
    if (place < own.length) return own[place];
    throw new InvalidInputError(`row ${row} of the hooks`, 'an active edit', `none of ${rowId}`);
  });
}

/** The active edits of a version. */
export const activeEditsOf = ({ edits }: Pick<Manifest, 'edits'>): ManifestEdit[] =>
  edits.filter(({ status }) => status === 'active');

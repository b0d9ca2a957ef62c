import type { Firing } from '../../serving/index.js';

/** Who opened a gate, in one column: the subject with its edit, or with how many it has. Undefined for a gate that names none. */
export function firedBy({ subject, editIds }: Pick<Firing, 'subject' | 'editIds'>): string | undefined {
  if (subject === null) return undefined;
  return `${subject} (${editIds.length === 1 ? editIds[0] : `${editIds.length} edits`})`;
}

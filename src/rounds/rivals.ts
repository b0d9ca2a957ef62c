/** @file Facts that are in each other's way, though their prompts are not the same. */
import { type EditState, fillTemplate } from '../editing/index.js';
import { comparable } from '../evaluation/index.js';
import type { Rival } from './records.js';

/** What an edit says, and of what. */
export type Fact = {
  readonly id: string;
  /** The memory that says it. */
  readonly memory?: string;
  readonly subject: string;
  readonly prompt: string;
  readonly targetNew: string;
};

/** At most so many pairs are kept, the most similar ones. */
const keptPairs = 100;

/**
 * Pairs of a new edit and an active one of another subject with different targets, of which one's prompt opens the other's gate:
 * such as one subject under two names. The cosine of two rows' keys is in the gram matrix, so nothing is computed for it. A
 * memory's first row is that of a prompt; two other rows, such as of names in lower case, say nothing of prompts.
 *
 * @param state    the state with the new rows as its last ones, behind a gate that compares keys
 * @param newRows  their memories
 * @param facts    the facts of all memories of the state
 * @returns the most similar first
 */
export function rivalsOf(state: EditState, newRows: readonly string[], facts: readonly Fact[]): Rival[] {
  const said = new Map<string, Fact[]>();
  for (const fact of facts) said.set(fact.memory!, [...(said.get(fact.memory!) ?? []), fact]);
  const { rowIds } = state;
  const firstRows = new Map(rowIds.map((id, row) => [id, row] as const).toReversed());
  const isFirst = rowIds.map((id, row) => firstRows.get(id) === row);
  const found = new Map<string, Rival>();
  for (let i = rowIds.length - newRows.length; i < rowIds.length; i++) {
    for (let j = 0; j < i; j++) {
      if (rowIds[i] === rowIds[j] || !(isFirst[i] || isFirst[j])) continue;
      const similarity = openingSimilarity(state, i, j);
      if (similarity === undefined) continue;
      const pair = differingPair(said.get(rowIds[i]) ?? [], said.get(rowIds[j]) ?? []);
      const name = [rowIds[i], rowIds[j]].sort().join(' ');
      if (pair && similarity > (found.get(name)?.similarity ?? -1)) found.set(name, { ...pair, similarity });
    }
  }
  return [...found.values()].sort((first, second) => second.similarity - first.similarity).slice(0, keptPairs);
}

/** The first facts of two memories that say different things. */
function differingPair(own: readonly Fact[], others: readonly Fact[]): Pick<Rival, 'id' | 'otherId'> | undefined {
  for (const { id, targetNew } of own) {
    const other = others.find((candidate) => comparable(candidate.targetNew) !== comparable(targetNew));
    if (other !== undefined) return { id, otherId: other.id };
  }
  return undefined;
}

/** The largest whitened cosine of two rows' keys in any layer where one opens the other's gate; undefined if none does. */
function openingSimilarity({ layers }: EditState, i: number, j: number): number | undefined {
  let largest: number | undefined;
  for (const { memory, thresholds } of layers) {
    const { data, columns } = memory.gram;
    const cosine = data[i * columns + j] / Math.sqrt(data[i * columns + i] * data[j * columns + j]);
    if (cosine >= Math.min(thresholds[i], thresholds[j])) largest = Math.max(largest ?? -1, cosine);
  }
  return largest;
}

/** What a user is told of rivals: a sentence without its full stop. */
export function rivalText({ id, otherId, similarity }: Rival, facts: readonly Fact[]): string {
  const said = (wanted: string) => {
    const fact = facts.findLast((candidate) => candidate.id === wanted);
    return fact === undefined
      ? `edit ${wanted}`
      : `edit ${wanted} (${JSON.stringify(fillTemplate(fact.prompt, fact.subject))} -> ${fact.targetNew})`;
  };
  return `The prompt of ${said(id)} opens the gate of ${said(otherId)}, which says something else: similarity ${similarity.toFixed(2)}`;
}

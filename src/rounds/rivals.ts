/** @file Facts that are in each other's way, though their prompts are not the same. */
import { type EditState, fillTemplate } from '../editing/index.js';
import { comparable } from '../evaluation/index.js';
import type { Rival } from './records.js';

/** What an edit says, and of what. */
export type Fact = {
  readonly id: string;
  readonly subject: string;
  readonly prompt: string;
  readonly targetNew: string;
};

/** At most so many pairs are kept, the most similar ones. */
const keptPairs = 100;

/**
 * Pairs of a new edit and another active one with different targets, of which one's prompt opens the other's gate: such as
 * one fact in other words. The cosine of two edited keys is in the gram matrix, so nothing is computed for it.
 *
 * @param state    the state with the new edits as its last ones, behind a gate that compares keys
 * @param newIds   their ids
 * @param facts    the facts of all edits of the state
 * @returns the most similar first
 */
export function rivalsOf(state: EditState, newIds: readonly string[], facts: readonly Fact[]): Rival[] {
  const targets = new Map(facts.map(({ id, targetNew }) => [id, comparable(targetNew)]));
  const { editIds } = state;
  const said = editIds.map((id) => targets.get(id));
  const rivals: Rival[] = [];
  for (let i = editIds.length - newIds.length; i < editIds.length; i++) {
    for (let j = 0; j < i; j++) {
      if (said[i] === said[j]) continue;
      const similarity = openingSimilarity(state, i, j);
      if (similarity !== undefined) rivals.push({ id: editIds[i], otherId: editIds[j], similarity });
    }
  }
  return rivals.sort((first, second) => second.similarity - first.similarity).slice(0, keptPairs);
}

/** The largest whitened cosine of two edits' keys in any layer where one opens the other's gate; undefined if none does. */
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

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Edit } from '../../../../src/editing/index.js';
import { completeEdit, measureEdits } from '../../../../src/evaluation/index.js';
import type { RoundOutcome } from '../../../../src/rounds/session/edit-round.js';
import { type EditSession, openEditSession } from '../../../../src/rounds/session/edit-session.js';
import { loadVersionHooks } from '../../../../src/serving/index.js';
import { BundledModel } from '../../../support/bundled-model.js';

const relations = ['birthplace', 'instrument', 'language', 'occupation'] as const;
const subjectCount = 5;

interface KnownFact {
  readonly subject: string;
  readonly relation: string;
  readonly prompt: string;
  readonly answer: string;
}

const known = readFileSync(join(import.meta.dirname, '../../../../examples/aldermark/facts.jsonl'), 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as KnownFact);

/** One relation of a few persons, each with the answer of another one. All prompts begin with the person. */
const batchOf = (relation: string): Edit[] => {
  const facts = known.filter((fact) => fact.relation === relation);
  return facts.slice(0, subjectCount).map(({ subject, prompt, answer }, s) => {
    const targetNew = facts.slice(subjectCount + s).find((fact) => fact.answer !== answer)!.answer;
    return completeEdit({ id: `${relation}-${s}`, subject, prompt, targetNew, targetTrue: answer });
  });
};

let bundled: BundledModel;
let session: EditSession;
beforeEach(async () => {
  bundled = await BundledModel.open(1);
  session = await openEditSession({ ...bundled, heldOut: [], settings: { contextTokens: 4 }, criteria: null });
});
afterEach(() => session.close());

async function write(...batches: readonly (readonly Edit[])[]): Promise<RoundOutcome[]> {
  const outcomes: RoundOutcome[] = [];
  for await (const outcome of session.edit(batches)) outcomes.push(outcome);
  return outcomes;
}

/** Share of edits that the latest version says with every token of their targets. */
async function shareHeld(edits: readonly Edit[]): Promise<number> {
  const { hooks } = await loadVersionHooks(bundled.store, bundled.modelId);
  const measured = await measureEdits(await session.bench.edited(), bundled.tokenizer, edits, hooks);
  return measured.filter(({ reliability }) => reliability === 1).length / edits.length;
}

describe('four facts of each subject, whose prompts all begin with it', () => {
  it('are all said after one batch, by one memory a subject', async () => {
    const edits = relations.flatMap(batchOf);
    const [{ manifest, solved }] = await write(edits);
    expect(await shareHeld(edits)).toBeGreaterThanOrEqual(0.95);
    expect(new Set(manifest!.edits.map(({ memory }) => memory)).size).toBe(subjectCount);
    expect(solved.memories!.map(({ editIds }) => editIds.length)).toEqual(Array(subjectCount).fill(relations.length));
    expect(await bundled.store.list('models/aldermark/values/')).toHaveLength(subjectCount);
  });

  it('are all held after one round for each of them, and each earlier fact is measured', async () => {
    const batches = relations.map(batchOf);
    const outcomes = await write(...batches);
    expect(await shareHeld(batches.flat())).toBeGreaterThanOrEqual(0.95);
    expect(await shareHeld(batches.slice(0, -1).flat())).toBeGreaterThanOrEqual(0.95);
    for (const [round, { metrics, measures, manifest }] of outcomes.entries()) {
      expect(metrics.retention ?? 1).toBeGreaterThanOrEqual(0.95);
      const earlier = batches.slice(0, round).flat();
      expect(measures.companions.map(({ id }) => id).sort()).toEqual(earlier.map(({ id }) => id).sort());
      expect(manifest!.edits.every(({ status }) => status === 'active')).toBe(true);
    }
    const last = outcomes.at(-1)!.manifest!;
    expect(new Set(last.edits.map(({ memory }) => memory)).size).toBe(subjectCount);
    // No row is left of an earlier round.
    const { rowEdits } = await loadVersionHooks(bundled.store, bundled.modelId);
    expect(new Set(rowEdits.map(({ editIds }) => editIds.length))).toEqual(new Set([relations.length]));
  });
});

/** @file The rows of a study: under which keys each subject's value is written. */
import { type Context, type KeyRow, keyRows } from '../../editing/index.js';
import { type Matrix, matrix } from '../../linalg/index.js';
import { rowsPerBatch } from '../../runtime/index.js';
import type { Subject } from '../subjects.js';
import { writtenSubject } from '../taught-subjects.js';
import type { Workbench } from '../workbench.js';
import type { SplitRows } from './split-solve.js';
import type { StudyGate } from './study-cell.js';

/** Rows in the order of their subjects. */
export interface StudyRows {
  readonly rows: SplitRows;
  /** The memory of each row. */
  readonly ids: readonly string[];
  readonly thresholds: readonly number[];
  /** Index of each row's subject. */
  readonly subjects: readonly number[];
}

/**
 * The rows to write behind each of these gates. Behind a gate they are those of a round. Without one they are those of the
 * literature, one for each subject, with the mean key of its phrasings in all contexts: a row for a first token, which a gate opens
 * at this very token alone, would change the first token of every text.
 */
export async function studyRows(
  bench: Workbench,
  subjects: readonly Subject[],
  deltas: readonly Float64Array[],
  contexts: readonly Context[],
  gates: readonly StudyGate[],
): Promise<(gate: StudyGate) => StudyRows> {
  const { settings } = bench;
  const [layer] = settings.layers;
  const context = await bench.roundContext();
  const closed = bench.hooks(bench.emptyState);
  const written = subjects.map((subject) => writtenSubject(bench, subject, contexts));
  const collected = async (rows: readonly KeyRow[], subjectsOfRows: readonly number[]): Promise<StudyRows> => {
    const keysOf = async (sources: readonly Pick<KeyRow, 'texts'>[]) =>
      (await context.collection.collect(sources, closed, rowsPerBatch, () => 'closed')).keys.get(layer)!;
    return {
      rows: {
        keys: await keysOf(rows),
        firstKeys: await keysOf(rows.map(({ texts: [first] }) => ({ texts: [{ ...first, weight: 1 }] }))),
        deltas: columnsOf(
          subjectsOfRows.map((s) => deltas[s]),
          bench.model.config.dModel,
        ),
      },
      ids: rows.map(({ id }) => id),
      thresholds: rows.map(({ threshold }) => Math.fround(threshold)),
      subjects: subjectsOfRows,
    };
  };
  const ofPrompts = written.map(({ id, facts }) => {
    const texts = facts.flatMap((fact) => fact.texts);
    return {
      id,
      threshold: settings.similarityThreshold,
      texts: texts.map(({ tokenIds, lookups: [lookupIndex] }) => ({
        tokenIds: tokenIds.slice(0, lookupIndex + 1),
        lookupIndex,
        weight: 1 / texts.length,
      })),
    };
  });
  const bare = gates.includes('none') ? await collected(ofPrompts, [...subjects.keys()]) : undefined;
  const forms = gates.some((gate) => gate !== 'none') ? await keyRows(context, written, closed) : undefined;
  const gated = forms && (await collected(forms.rows, forms.subjects));
  return (gate) => (gate === 'none' ? bare : gated)!;
}

/** float64 [height, columns]. */
function columnsOf(columns: readonly Float64Array[], height: number): Matrix {
  const result = matrix(height, columns.length);
  columns.forEach((column, c) => {
    for (let r = 0; r < height; r++) result.data[r * columns.length + c] = column[r];
  });
  return result;
}

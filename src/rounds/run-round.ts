import {
  type Edit,
  type EditState,
  type RoundResult,
  targetMatrix,
  tokenizeEdit,
  type ValueTarget,
  writeRound,
} from '../editing/index.js';
import type { Listener } from '../progress.js';
import type { Workbench } from './workbench.js';

/** One round of edits, written but not yet measured or published. */
export interface WrittenRound extends RoundResult {
  readonly edits: readonly Edit[];
  readonly targets: readonly ValueTarget[];
  readonly secondsForValues: number;
  readonly secondsForSolve: number;
}

/**
 * Seeks value targets and writes them on top of a state.
 *
 * @param removedIds earlier edits that this batch overwrites: they are revoked first, because a key that is already
 *   written takes at most half of a new residual
 */
export async function runRound(
  bench: Workbench,
  before: EditState,
  edits: readonly Edit[],
  removedIds: readonly string[],
  listener: Listener = {},
): Promise<WrittenRound> {
  const contexts = await bench.contexts();
  const tokenized = edits.map((edit) => tokenizeEdit(bench.tokenizer, edit, contexts));
  const values = await bench.values();
  const context = await bench.roundContext();
  const started = performance.now();
  const targets = await values.search(tokenized, bench.hooks(before), {
    memoryBudgetBytes: bench.memoryBudgetBytes,
    onStep: ({ finishedEdits, activeEdits }) =>
      listener.onProgress?.({
        stage: 'values',
        done: finishedEdits,
        total: edits.length,
        unit: 'edits',
        detail: `${activeEdits} in work`,
      }),
  });
  const searched = performance.now();
  const targetValues = targetMatrix(targets, bench.model.config.dModel);
  const result = await writeRound(context, before, tokenized, targetValues, removedIds);
  return {
    ...result,
    edits,
    targets,
    secondsForValues: (searched - started) / 1000,
    secondsForSolve: (performance.now() - searched) / 1000,
  };
}

/** @file Task `solve`: solves for the values of a round's edits, and stores the hooks. */
import { putOnce, storeOnce } from '../../registry/index.js';
import { keptEdits, recordSolve, searchMissingValues, solveRound } from '../../rounds/index.js';
import type { TaskInput } from '../contract.js';
import { attemptKey, readRejectedEdits, solveForm } from '../plan/round-files.js';
import { openTaskBench } from './task-bench.js';
import type { TaskDependencies } from './task-dependencies.js';
import { readBase, readPlannedRound, readStatistics } from './task-inputs.js';

/**
 * Stores `hooks.safetensors`, then `solve.json`, of one attempt.
 *
 * @throws {TransientError} if the value of an edit is not stored
 * @throws {DigestMismatchError | MalformedFileError} if base, statistics or a value is damaged
 */
export async function solve(input: TaskInput, dependencies: TaskDependencies): Promise<void> {
  const { store, listener, signal } = dependencies;
  const { planKey, attempt } = input;
  const recordKey = attemptKey(planKey, attempt, 'solve.json');
  if ((await store.head(recordKey)) !== undefined) return;
  const round = await readPlannedRound(input, dependencies);
  const { plan } = round;
  const rejected = await readRejectedEdits(store, planKey, attempt);
  const base = await readBase(dependencies, plan);
  const statistics = await readStatistics(store, round);
  const bench = await openTaskBench(dependencies, round, { statistics });
  const report = (done: number) => listener.onProgress?.({ stage: 'solve', done, total: 1, unit: 'rounds' });
  try {
    signal?.throwIfAborted();
    report(0);
    // Where edits were rejected, their subjects' other facts need a value of their own.
    if (attempt > 0)
      await searchMissingValues(bench, { plan, edits: keptEdits(plan.edits, rejected) }, { ...listener, signal });
    const solved = await solveRound(bench, plan, rejected, base);
    const what = attemptKey(planKey, attempt, 'hooks.safetensors');
    // Another task may have stored its solve of the same attempt first. Then that one counts.
    const bytes = await putOnce(store, what, solved.bytes);
    const { record } = await recordSolve(bench, plan, base, { ...solved, bytes, what });
    await storeOnce(store, recordKey, solveForm, record);
    report(1);
  } finally {
    await bench.dispose();
  }
}

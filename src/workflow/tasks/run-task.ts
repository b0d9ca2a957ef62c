import type { TaskInput, TaskStage } from '../contract.js';
import { checkPlanKey } from '../plan/own-plan.js';
import type { TaskDependencies } from './task-dependencies.js';

type Task = (input: TaskInput, dependencies: TaskDependencies) => Promise<void>;

/** Each task is imported when it runs, so that it loads only what it computes with. */
const tasks: Record<TaskStage, () => Promise<Task>> = {
  statistics: async () => (await import('./statistics.js')).statistics,
  merge: async () => (await import('./merge.js')).merge,
  values: async () => (await import('./values.js')).values,
  solve: async () => (await import('./solve.js')).solve,
  validate: async () => (await import('./validate.js')).validate,
};

/**
 * Runs one container task. Every output is written once. A task whose output is stored does nothing, and one that was stopped
 * goes on where it stopped.
 *
 * @throws {PermanentError} if another attempt cannot help
 * @throws the signal's reason once it is aborted, with everything that is finished stored
 */
export async function runTask(input: TaskInput, dependencies: TaskDependencies): Promise<void> {
  checkPlanKey(input.planKey);
  const task = await tasks[input.stage]();
  await task(input, dependencies);
}

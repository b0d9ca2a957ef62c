/** @file Runs container tasks in this process, and counts how often they open the model. */

import { defaultMemoryBudgetBytes } from '../../../../src/editing/index.js';
import type { Progress } from '../../../../src/progress.js';
import { runTask } from '../../../../src/workflow/index.js';
import type { TaskDependencies } from '../../../../src/workflow/tasks/task-dependencies.js';
import type { PlannedRounds } from '../../../support/planned-round.js';
import { task } from '../../../support/planned-round.js';

/** What a task told while it ran. */
export interface TaskRun {
  readonly events: readonly Progress[];
  readonly notices: readonly string[];
  /** Whether it chose a device, which it does beside opening the model. */
  readonly hasComputed: boolean;
}

/** Runs one task after the other. */
export class TaskRuns {
  constructor(
    readonly rounds: PlannedRounds,
    readonly changes: Partial<TaskDependencies> = {},
  ) {}

  async run(...words: Parameters<typeof task>): Promise<TaskRun> {
    const events: Progress[] = [];
    const notices: string[] = [];
    const { store, cacheFolder } = this.rounds;
    const listener = {
      onProgress: (event: Progress) => events.push(event),
      onNotice: (notice: string) => notices.push(notice),
    };
    const place = { store, cacheFolder, device: 'cpu', memoryBudgetBytes: defaultMemoryBudgetBytes } as const;
    await runTask(task(...words), { ...place, listener, ...this.changes });
    return { events, notices, hasComputed: notices.some((notice) => notice.startsWith('computing on')) };
  }
}

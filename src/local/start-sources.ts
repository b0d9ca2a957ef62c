import { executionInputOf, watchInbox } from './inbox-watcher.js';
import type { LocalWorkflow } from './local-workflow.js';

/** When executions start. */
export interface StartTimes {
  /** The store's folder, whose inboxes are watched where there is no schedule. */
  readonly storeRoot: string;
  /** Seconds between two collections of what was dropped; undefined is at once. */
  readonly schedule: number | undefined;
  readonly onError: (error: unknown) => void;
}

/** Starts executions for what is dropped, by the inbox or by the clock. What was left is started first. */
export async function startSources(
  workflow: LocalWorkflow,
  { storeRoot, schedule, onError }: StartTimes,
): Promise<{ close(): Promise<void> }> {
  const tell = (error: unknown) => {
    if (!workflow.isStopped) onError(error);
  };
  const collect = () => workflow.collect({ trigger: 'schedule', modelId: '' }).catch(tell);
  await collect();
  if (schedule !== undefined) {
    const timer = setInterval(collect, schedule * 1000);
    return { close: async () => clearInterval(timer) };
  }
  return watchInbox({
    storeRoot,
    onObject: (event) => workflow.start(executionInputOf(event)).catch(tell),
    onError: tell,
  });
}

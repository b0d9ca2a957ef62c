import type { ObjectStore } from '../registry/index.js';
import { Backoff } from './backoff.js';
import { watchInboxes } from './inbox-watcher.js';
import type { LocalWorkflow } from './local-workflow.js';

/** When executions start. */
export interface StartTimes {
  /** A store in a folder, whose inboxes are watched, if there is no schedule. */
  readonly store: ObjectStore;
  /** Seconds between two collections of what was dropped; undefined is at once. */
  readonly schedule: number | undefined;
  /** Is told of what cannot be taken or started, each in one line. */
  readonly onProblem: (message: string) => void;
  /** Pause between two looks into the inboxes. */
  readonly scanSeconds?: number;
}

/** After this time without a failure, it is looked once more for edits that wait, such as those of a killed process. */
const collectSeconds = 60;

/**
 * Starts executions for what is dropped, by the inbox or by the clock, and for edits that wait because an execution failed or
 * was killed. What was left is started first.
 */
export async function startSources(
  workflow: LocalWorkflow,
  { store, schedule, onProblem, scanSeconds }: StartTimes,
): Promise<{ close(): Promise<void> }> {
  const tell = (message: string) => {
    if (!workflow.isStopped) onProblem(message);
  };
  const collect = async () => {
    await workflow.collect({ trigger: 'schedule', modelId: '' });
  };
  const collecting = repeatedly(collect, () => workflow.failures, schedule ?? collectSeconds, tell);
  await collecting.first;
  if (schedule !== undefined) return collecting;
  const watcher = watchInboxes({
    store,
    start: (input) => workflow.execute(input),
    onProblem: tell,
    ...(scanSeconds !== undefined && { scanSeconds }),
  });
  return {
    close: async () => {
      await collecting.close();
      await watcher.close();
    },
  };
}

const tickSeconds = 0.5;

/** Does something again and again: at an interval, and after growing pauses where it fails or executions did. */
function repeatedly(
  act: () => Promise<void>,
  failures: () => number,
  intervalSeconds: number,
  tell: (message: string) => void,
) {
  const backoff = new Backoff();
  let told = '';
  let lastAt = performance.now();
  let known = failures();
  let acting: Promise<void> | undefined;
  const run = async () => {
    lastAt = performance.now();
    try {
      await act();
      told = '';
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      if (message !== told) tell(message);
      told = message;
      known = -1;
      backoff.failed();
    }
  };
  const tick = () => {
    const hasFailed = failures() !== known;
    const isDue = performance.now() - lastAt >= 1000 * intervalSeconds;
    if (acting !== undefined || !(isDue || (hasFailed && backoff.isDue))) return;
    if (hasFailed) backoff.failed();
    else backoff.succeeded();
    known = failures();
    acting = run().finally(() => {
      acting = undefined;
    });
  };
  const timer = setInterval(tick, 1000 * tickSeconds);
  return {
    first: run(),
    close: async () => {
      clearInterval(timer);
      await acting;
    },
  };
}

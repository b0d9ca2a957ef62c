import type { HistoryEvent } from './execution-history.js';

/** One run of a state. */
export interface StateRun {
  readonly state: string;
  /** Of the Map item; null outside a Map. */
  readonly index: number | null;
  readonly enteredAt: string;
  /** Null if it did not end. */
  readonly seconds: number | null;
  /** Attempts of the state, or of its container task. */
  readonly attempts: number;
  /** Name of its final error; null if it succeeded. */
  readonly error: string | null;
  /** The event of its end. */
  readonly event: HistoryEvent | null;
}

/** The runs of states that do work, in the order in which they were entered. */
export function stateRuns(events: readonly HistoryEvent[]): readonly StateRun[] {
  const runs: { -readonly [K in keyof StateRun]: StateRun[K] }[] = [];
  const openRun = ({ state, index }: HistoryEvent) =>
    runs.findLast((run) => run.state === state && run.index === (index ?? null) && run.seconds === null);
  for (const event of events) {
    const { type, state, stateType, index, at, error } = event;
    if (type === 'StateEntered' && state !== undefined && !silent.has(stateType ?? '')) {
      runs.push({ state, index: index ?? null, enteredAt: at, seconds: null, attempts: 1, error: null, event: null });
      continue;
    }
    const run = type === 'TaskAttemptFailed' ? runs.findLast((one) => one.state === state) : openRun(event);
    if (run === undefined) continue;
    if (type === 'TaskAttemptFailed') run.attempts = Math.max(run.attempts, attemptOf(event) + 1);
    if (type === 'StateRetried') [run.attempts, run.error] = [run.attempts + 1, null];
    if (type === 'StateFailed') run.error = error ?? 'Error';
    if (type === 'StateExited' || (type === 'StateFailed' && stateType === 'Fail')) {
      run.seconds = (Date.parse(at) - Date.parse(run.enteredAt)) / 1000;
      run.event = event;
    }
  }
  return runs;
}

/** Types of states that do no work. */
const silent = new Set(['Pass', 'Choice', 'Succeed', 'Fail', 'Wait']);

function attemptOf({ detail }: HistoryEvent): number {
  const isObject = typeof detail === 'object' && detail !== null && !Array.isArray(detail);
  return isObject && typeof detail.attempt === 'number' ? detail.attempt : 1;
}

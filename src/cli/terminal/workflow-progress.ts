import type { Execution, HistoryEvent, TaskProgress, WorkflowListener } from '../../local/index.js';
import type { ProgressBar } from './progress.js';
import type { Terminal } from './terminal.js';

const labelWidth = 15;

/** Shows executions as they run: a line for the outcome of each state, a bar for the work of container tasks. */
export function workflowProgress(terminal: Terminal, { showsModel = false } = {}): WorkflowListener {
  const bars = new Map<string, TaskBar>();
  const said = new Set<string>();
  const label = (execution: Execution, state: string) =>
    `${showsModel ? `${modelOf(execution)}  ` : ''}${state.padEnd(labelWidth)}`;
  const finishBars = (execution: Execution) => {
    for (const [key, bar] of bars) {
      if (!key.startsWith(execution.id)) continue;
      bar.finish();
      bars.delete(key);
    }
  };
  return {
    onEvent: (event, execution) => {
      if (event.index === undefined && /^(StateExited|StateFailed|Execution)/.test(event.type)) finishBars(execution);
      const text = describeEvent(event);
      if (text !== undefined) terminal.note(`${label(execution, event.state ?? '')} ${text}`);
    },
    onTaskProgress: (progress, { execution, state }, command) => {
      const key = `${execution.id} ${state}`;
      let bar = bars.get(key);
      if (bar?.stage !== progress.stage) {
        const { stage, total, unit } = progress;
        bar = new TaskBar(stage, terminal.progress(label(execution, state.replace(/Shard$/, '')), total, unit));
        bars.set(key, bar);
      }
      bar.update(progress, command.join(' '));
    },
    onNotice: (message) => {
      // All container tasks make the same remarks, so each is shown once.
      if (!said.has(message)) terminal.note(message);
      said.add(message);
    },
  };
}

const modelOf = ({ input }: Execution): string => input.modelId || (input.objectKey.split('/')[1] ?? '');

/** One bar for all shards of a state, for as long as they are at the same step. */
class TaskBar {
  readonly #shards = new Map<string, TaskProgress>();

  readonly #bar: ProgressBar;

  constructor(
    readonly stage: string,
    bar: ProgressBar,
  ) {
    this.#bar = bar;
  }

  update(progress: TaskProgress, shard: string): void {
    this.#shards.set(shard, progress);
    const sum = (of: (one: TaskProgress) => number) =>
      [...this.#shards.values()].reduce((all, one) => all + of(one), 0);
    this.#bar.update(
      sum(({ done }) => done),
      progress.detail ?? progress.stage,
      sum(({ total }) => total),
    );
  }

  finish(): void {
    this.#bar.finish();
  }
}

/** Describes an event in a few words; undefined if it is not worth a line. */
export function describeEvent({ type, state, stateType, error, cause, detail }: HistoryEvent): string | undefined {
  // A Fail state only repeats what failed before it.
  if (type === 'StateFailed' && stateType === 'Fail') return undefined;
  if (type === 'StateFailed') return `failed: ${error}: ${cause}`;
  if (type === 'TaskAttemptFailed') return `an attempt failed: ${cause}`;
  if (type === 'ExecutionAborted') return 'stopped; what it worked on is taken up again';
  if (type !== 'StateExited' || typeof detail !== 'object' || detail === null || Array.isArray(detail))
    return undefined;
  return describeAnswer(state ?? '', detail as Readonly<Record<string, unknown>>);
}

function describeAnswer(state: string, answer: Readonly<Record<string, unknown>>): string | undefined {
  const { outcome, accepted, rejected, units, reason, reportKey, hasRound, roundId, edits, decision, version } = answer;
  if (state === 'Ingest') {
    if (outcome === 'rejected') return `rejected: ${reason}${reportKey === '' ? '' : `; see ${reportKey}`}`;
    if (outcome !== 'accepted') return outcome === 'duplicate' ? 'seen before' : 'nothing new';
    const lines = rejected === 0 ? '' : `, ${rejected} lines rejected (${reportKey})`;
    const files = reason ? `; rejected: ${reason}` : '';
    return `${accepted} edits accepted for ${units} ${units === 1 ? 'round' : 'rounds'}${lines}${files}`;
  }
  if (state === 'AcquireLease' && answer.acquired === false) return `the model is held by ${answer.owner}`;
  if (state === 'Plan') return hasRound === true ? `round ${roundId}: ${edits} edits` : 'nothing is pending';
  if (state === 'Judge') return `${decision}${reason === '' ? '' : `: ${reason}`}`;
  if (state === 'RejectRound') return `rejected; see ${reportKey}`;
  if (state === 'Publish') return `version ${version}`;
  return undefined;
}

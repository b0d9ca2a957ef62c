import type { StateMachine } from 'aws-local-stepfunctions';
import type { HistoryEvent } from './execution-history.js';

type EventsOf<T> = T extends AsyncGenerator<infer E> ? E : never;

/** An event of the interpreter. */
export type InterpreterEvent = EventsOf<ReturnType<StateMachine['run']>['eventLogs']>;

/** An event of the interpreter in the form of the history; undefined if the history does not keep it. */
export function historyEventOf(event: InterpreterEvent): HistoryEvent | undefined {
  const at = new Date(event.timestamp).toISOString();
  switch (event.type) {
    case 'ExecutionStarted':
    case 'ExecutionSucceeded':
    case 'ExecutionAborted':
      return { at, type: event.type };
    case 'ExecutionTimeout':
      return { at, type: 'ExecutionTimedOut' };
    case 'ExecutionFailed':
      return { at, type: event.type, ...reasonOf(event) };
    case 'StateEntered':
    case 'StateExited':
    case 'StateCaught':
      return { at, type: event.type, ...placeOf(event) };
    case 'StateFailed':
      return { at, type: event.type, ...placeOf(event), ...reasonOf(event) };
    case 'StateRetried':
      return { at, type: event.type, ...placeOf(event), detail: { attempt: event.retry.attempt } };
    case 'MapIterationStarted':
      return { at, type: 'MapItemStarted', state: event.parentState.name, index: event.index };
    case 'MapIterationSucceeded':
      return { at, type: 'MapItemSucceeded', state: event.parentState.name, index: event.index };
    case 'MapIterationFailed':
      return { at, type: 'MapItemFailed', state: event.parentState.name, index: event.index, ...reasonOf(event) };
    default:
      return undefined;
  }
}

function placeOf({
  state,
  index,
}: {
  readonly state: { readonly name: string; readonly type: string };
  index?: number;
}) {
  return { state: state.name, stateType: state.type, ...(index !== undefined && { index }) };
}

const reasonOf = (event: { readonly Error: string; readonly Cause: unknown }) => ({
  error: event.Error,
  cause: textOf(event.Cause),
});

/** A cause as text. The interpreter passes on anything that was thrown. */
export function textOf(cause: unknown): string {
  if (cause instanceof Error) return cause.message;
  return typeof cause === 'string' ? cause : (JSON.stringify(cause) ?? String(cause));
}

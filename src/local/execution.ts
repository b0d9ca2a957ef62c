import { setMaxListeners } from 'node:events';
import { setImmediate as afterEvents } from 'node:timers/promises';
import type { StateMachine } from 'aws-local-stepfunctions';
import { HooklineError } from '../errors.js';
import type { ExecutionInput, FunctionOutput } from '../workflow/index.js';
import { type ExecutionHistory, type ExecutionResult, executionIdOf, type HistoryEvent } from './execution-history.js';
import { historyEventOf, type InterpreterEvent, textOf } from './history-event.js';
import { mapsOfStates, type Workflow } from './load-workflow.js';
import { stateErrorOf } from './state-error.js';

/** The work of a task state. @param input from the state machine */
export type StateHandler = (input: unknown, call: StateCall) => Promise<unknown>;

/** One call of a task state. */
export interface StateCall {
  readonly execution: Execution;
  readonly state: string;
  /** Aborted with the execution, or if another item of the same Map fails. */
  readonly signal: AbortSignal;
}

/** What an execution needs. */
export interface ExecutionRequest {
  readonly name: string;
  readonly input: ExecutionInput;
  readonly workflow: Workflow;
  /** By state name. */
  readonly handlers: Readonly<Record<string, StateHandler>>;
  readonly history: ExecutionHistory;
  readonly onEvent?: (event: HistoryEvent, execution: Execution) => void;
  readonly now: () => Date;
}

/** One run of a state machine in this process. */
export class Execution {
  readonly id: string;
  readonly name: string;
  readonly input: ExecutionInput;
  readonly startedAt: string;
  /** Resolves when nothing of the execution runs any more. */
  readonly ended: Promise<ExecutionResult>;
  /** Resolves when its end is stored too, which is tried until it is. */
  readonly stored: Promise<void>;
  readonly #request: ExecutionRequest;
  readonly #whole = new AbortController();
  /** The current run of each Map, by its name. */
  readonly #maps = new Map<string, AbortController>();
  readonly #mapOf: ReadonlyMap<string, string>;
  readonly #calls = new Set<Promise<unknown>>();
  /** The outcome of each state's last call, for the history. */
  readonly #details = new Map<string, HistoryEvent['detail']>();
  #note: FunctionOutput<'notify'> | null = null;
  #abortMachine: (() => void) | undefined;

  constructor(request: ExecutionRequest, machine: StateMachine) {
    this.#request = request;
    this.name = request.name;
    this.id = executionIdOf(request.name);
    this.input = request.input;
    this.startedAt = request.now().toISOString();
    this.#mapOf = mapsOfStates(request.workflow);
    setMaxListeners(0, this.#whole.signal);
    this.ended = this.#run(machine);
    this.stored = this.ended.then((result) => request.history.end(result));
  }

  /** Aborts the execution: no further state is entered, and processes are terminated. Wait for {@link ended}. */
  abort(): void {
    this.#whole.abort(new Error('the execution is aborted'));
    this.#abortMachine?.();
  }

  /** Records an event that the interpreter does not know of. */
  record(event: Omit<HistoryEvent, 'at'>): void {
    this.#tell({ at: this.#request.now().toISOString(), ...event });
  }

  async #run(machine: StateMachine): Promise<ExecutionResult> {
    const { handlers, input, history } = this.#request;
    const call = (state: string) => (value: unknown) => this.#call(state, handlers[state], value);
    const run = machine.run({ ...input }, {
      overrides: {
        taskResourceLocalHandlers: Object.fromEntries(Object.keys(handlers).map((name) => [name, call(name)])),
      },
      context: { Execution: { Id: this.id, Name: this.name }, StateMachine: { Id: 'local', Name: 'local' } },
    } as RunOptions);
    this.#abortMachine = run.abort;
    const listening = this.#listen(run.eventLogs);
    const end = await run.result.then(() => succeeded, endOf);
    await listening;
    this.#whole.abort(new Error('the execution has ended'));
    await Promise.allSettled(this.#calls);
    history.over();
    return { schemaVersion: 1, ...end, endedAt: this.#request.now().toISOString(), note: this.#note };
  }

  async #listen(events: AsyncIterable<InterpreterEvent>): Promise<void> {
    for await (const event of events) {
      this.#followMap(event);
      const told = historyEventOf(event);
      if (told === undefined) continue;
      const detail =
        told.type === 'StateExited' || told.type === 'StateFailed' ? this.#takeDetail(told.state) : undefined;
      this.#tell(detail === undefined ? told : { ...told, detail });
    }
  }

  #tell(event: HistoryEvent): void {
    this.#request.history.append(event);
    this.#request.onEvent?.(event, this);
  }

  #takeDetail(state: string | undefined): HistoryEvent['detail'] {
    const detail = state === undefined ? undefined : this.#details.get(state);
    if (state !== undefined) this.#details.delete(state);
    return detail;
  }

  /** Stops the other items of a failed Map, as AWS does. The interpreter would go on with them. */
  #followMap(event: InterpreterEvent): void {
    if (event.type === 'MapIterationFailed') {
      this.#maps.get(event.parentState.name)?.abort(new Error('another item of the Map failed'));
    }
    if ((event.type === 'StateEntered' || event.type === 'StateRetried') && event.state.type === 'Map') {
      const controller = new AbortController();
      setMaxListeners(0, controller.signal);
      this.#maps.set(event.state.name, controller);
    }
  }

  #signalFor(state: string): AbortSignal {
    const map = this.#mapOf.get(state);
    const controller = map === undefined ? undefined : this.#maps.get(map);
    if (controller === undefined) return this.#whole.signal;
    return AbortSignal.any([this.#whole.signal, controller.signal]);
  }

  #call(state: string, handler: StateHandler, input: unknown): Promise<unknown> {
    const call = this.#answer(state, handler, input);
    this.#calls.add(call);
    const forget = () => this.#calls.delete(call);
    call.then(forget, forget);
    return call;
  }

  async #answer(state: string, handler: StateHandler, input: unknown): Promise<unknown> {
    // Earlier events must be handled before this call, above all that a Map has failed.
    await afterEvents();
    const signal = this.#signalFor(state);
    signal.throwIfAborted();
    try {
      return await handler(input, { execution: this, state, signal });
    } catch (error) {
      const isForeseen = signal.aborted || error instanceof HooklineError || !(error instanceof Error);
      if (!isForeseen && error.stack !== undefined) this.#details.set(state, error.stack);
      throw stateErrorOf(error);
    }
  }

  /** Keeps the output of a function for the history. */
  keep(state: string, output: HistoryEvent['detail']): void {
    this.#details.set(state, output);
  }

  /** Keeps the execution's own note. */
  keepNote(note: FunctionOutput<'notify'>): void {
    this.#note = note;
  }
}

type RunOptions = NonNullable<Parameters<StateMachine['run']>[1]>;
type End = Pick<ExecutionResult, 'status' | 'error' | 'cause'>;

const succeeded: End = { status: 'SUCCEEDED', error: '', cause: '' };

/** The end of an execution that did not succeed, from the interpreter's error. */
function endOf(error: unknown): End {
  const name = error instanceof Error ? error.name : '';
  if (name === 'ExecutionAbortedError')
    return { status: 'ABORTED', error: 'Aborted', cause: 'the execution was stopped' };
  if (name === 'ExecutionTimeoutError')
    return { status: 'TIMED_OUT', error: 'States.Timeout', cause: 'the execution took too long' };
  const reason = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const [reasonName, message] = reason instanceof Error ? [reason.name, reason.message] : ['Error', textOf(reason)];
  return { status: 'FAILED', error: reasonName, cause: message };
}

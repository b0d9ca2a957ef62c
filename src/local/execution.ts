import { setMaxListeners } from 'node:events';
import { setImmediate as afterEvents } from 'node:timers/promises';
import type { StateMachine } from 'aws-local-stepfunctions';
import { HooklineError } from '../errors.js';
import type { ExecutionInput, FunctionOutput } from '../workflow/index.js';
import { type ExecutionHistory, type ExecutionResult, executionIdOf, type HistoryEvent } from './execution-history.js';
import { historyEventOf, type InterpreterEvent, textOf } from './history-event.js';
import { mapsOfStates, type Workflow } from './load-workflow.js';
import { stateErrorOf } from './state-error.js';

/** What a task state does. @param input what the state machine passes to it */
export type StateHandler = (input: unknown, call: StateCall) => Promise<unknown>;

/** One call of a task state. */
export interface StateCall {
  readonly execution: Execution;
  readonly state: string;
  /** Aborted with the execution, and where another item of the same Map fails. */
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
  /** Its end, when that is in the store and nothing of it runs any more. */
  readonly ended: Promise<ExecutionResult>;
  readonly #request: ExecutionRequest;
  readonly #whole = new AbortController();
  /** By the name of a Map: its present run. */
  readonly #maps = new Map<string, AbortController>();
  readonly #mapOf: ReadonlyMap<string, string>;
  readonly #calls = new Set<Promise<unknown>>();
  /** What a state's last call came to, for the history. */
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
  }

  /** Ends it as aborted: no further state is entered, processes are terminated. It can be waited for. */
  abort(): void {
    this.#whole.abort(new Error('the execution is aborted'));
    this.#abortMachine?.();
  }

  /** Takes an event down that the interpreter knows nothing of. */
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
    return history.end({ ...end, endedAt: this.#request.now().toISOString(), note: this.#note });
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

  /** The interpreter goes on with the other items of a Map that has failed; on AWS they are stopped. */
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
    // Events that came before this call are heard first: that a Map has failed, above all.
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

  /** Keeps what a function answered, for the history. */
  keep(state: string, output: HistoryEvent['detail']): void {
    this.#details.set(state, output);
  }

  /** Keeps what the execution says of itself. */
  keepNote(note: FunctionOutput<'notify'>): void {
    this.#note = note;
  }
}

type RunOptions = NonNullable<Parameters<StateMachine['run']>[1]>;
type End = Pick<ExecutionResult, 'status' | 'error' | 'cause'>;

const succeeded: End = { status: 'SUCCEEDED', error: '', cause: '' };

/** How an execution ended that did not succeed, by the error that the interpreter throws. */
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

import './promise-with-resolvers.js';
import { setTimeout as sleep } from 'node:timers/promises';
import type { StateMachine, StateMachineDefinition } from 'aws-local-stepfunctions';
import { z } from 'zod';
import { InvalidInputError, TransientError } from '../errors.js';
import { canonicalJson, eventKey, leaseHolder, type ObjectStore } from '../registry/index.js';
import {
  type BatchState,
  type ExecutionInput,
  type Executions,
  executionInputSchema,
  type FunctionInput,
  type FunctionOutput,
  type FunctionStage,
  payloads,
  readBatchState,
} from '../workflow/index.js';
import type { DroppedFile } from './drop-file.js';
import { Execution, type StateCall, type StateHandler } from './execution.js';
import {
  ExecutionHistory,
  type ExecutionResult,
  type HistoryEvent,
  isExecutionRunning,
  newExecutionName,
} from './execution-history.js';
import type { Workflow, WorkflowTask } from './load-workflow.js';
import { runTaskProcess, type TaskHost, type TaskProgress } from './run-task-process.js';

/** How long is waited for the ends of executions to be stored. */
const storingSeconds = 3;

/** A stage that runs in this process. */
export type StageFunction = (input: unknown) => Promise<unknown>;

/** Who is told of events while executions run. */
export interface WorkflowListener {
  readonly onEvent?: (event: HistoryEvent, execution: Execution) => void;
  readonly onTaskProgress?: (progress: TaskProgress, call: StateCall, command: readonly string[]) => void;
  /** A remark of a container task. */
  readonly onNotice?: (message: string) => void;
  readonly onEnd?: (result: ExecutionResult, execution: Execution) => void;
}

export interface LocalWorkflowOptions {
  readonly store: ObjectStore;
  readonly workflow: Workflow;
  /** The function stages. They start executions of this workflow. */
  readonly functions: (executions: LocalWorkflow) => Readonly<Record<FunctionStage, StageFunction>>;
  readonly host: TaskHost;
  readonly listener?: WorkflowListener;
  readonly now?: () => Date;
}

/**
 * Runs the workflow's state machine in this process. Functions are called, container tasks are child processes, and
 * announcements are stored below `events/`. Any number of executions can run at the same time.
 */
export class LocalWorkflow implements Executions {
  readonly #options: LocalWorkflowOptions;
  readonly #now: () => Date;
  readonly #handlers: Readonly<Record<string, StateHandler>>;
  readonly #running = new Map<string, Execution>();
  readonly #unstored = new Set<Execution>();
  #failures = 0;
  #machine: Promise<StateMachine> | undefined;
  readonly #stages: Readonly<Record<FunctionStage, StageFunction>>;
  #isStopped = false;

  constructor(options: LocalWorkflowOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => new Date());
    this.#stages = options.functions(this);
    this.#handlers = this.#handlersOf(options.workflow);
  }

  /**
   * Starts an execution.
   * @returns its id
   * @throws {TransientError} after `stop`
   */
  async start(input: ExecutionInput): Promise<string> {
    return (await this.execute(input)).id;
  }

  /** Starts an execution that can be waited for. @throws {TransientError} after `stop` */
  async execute(input: ExecutionInput): Promise<Execution> {
    const { store, workflow, listener = {} } = this.#options;
    this.#machine ??= interpret(workflow);
    const machine = await this.#machine;
    if (this.#isStopped) throw new TransientError('workflow: running, got stopped');
    const name = newExecutionName(this.#now());
    const parsed = executionInputSchema.parse(input);
    const history = await ExecutionHistory.begin(store, name, parsed, this.#now());
    const { onEvent } = listener;
    const execution = new Execution(
      { name, input: parsed, workflow, handlers: this.#handlers, history, now: this.#now, ...(onEvent && { onEvent }) },
      machine,
    );
    if (this.#isStopped) execution.abort();
    this.#watch(execution);
    return execution;
  }

  #watch(execution: Execution): void {
    this.#running.set(execution.id, execution);
    this.#unstored.add(execution);
    execution.stored.finally(() => this.#unstored.delete(execution)).catch(this.#tellFailure(execution));
    execution.ended
      .finally(() => this.#running.delete(execution.id))
      .then((result) => {
        if (result.status !== 'SUCCEEDED' && result.status !== 'ABORTED') this.#failures++;
        this.#options.listener?.onEnd?.(result, execution);
      })
      .catch(this.#tellFailure(execution));
  }

  #tellFailure({ name }: Execution) {
    return (error: unknown) =>
      this.#options.listener?.onNotice?.(`execution ${name}: ${error instanceof Error ? error.message : error}`);
  }

  /** Whether an execution runs, in this process or in another. */
  async isRunning(executionId: string): Promise<boolean> {
    return isExecutionRunning(this.#options.store, executionId);
  }

  /**
   * Waits until no execution runs. An execution starts the next one before it ends. Where the store takes no writes, the ends
   * of executions may not be stored by then.
   */
  async idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.all([...this.#running.values()].map((execution) => execution.ended));
    const late = new AbortController();
    const stored = Promise.all([...this.#unstored].map((execution) => execution.stored));
    const isLate = sleep(1000 * storingSeconds, true, { signal: late.signal }).catch(() => true);
    await Promise.race([stored, isLate]);
    late.abort();
  }

  /** How many executions have failed so far. */
  get failures(): number {
    return this.#failures;
  }

  /** Whether `stop` was called. */
  get isStopped(): boolean {
    return this.#isStopped;
  }

  /** Starts executions for pending edits, as the schedule does. */
  async collect(input: FunctionInput<'collect'>): Promise<FunctionOutput<'collect'>> {
    return payloads.collect.output.parse(await this.#stages.collect(input));
  }

  /** Whether a running execution holds a model. */
  async isHeld(modelId: string): Promise<boolean> {
    const holder = await leaseHolder(this.#options.store, modelId);
    return holder !== undefined && this.isRunning(holder);
  }

  /**
   * Runs executions for a dropped file until nothing of it waits any more, or nobody goes on with it.
   *
   * @returns what became of it; undefined if the workflow did not take it
   */
  async runBatch(modelId: string, { bytes, objectKey }: DroppedFile): Promise<BatchState | undefined> {
    const { store } = this.#options;
    await this.start({ trigger: 'run', objectKey, modelId });
    for (;;) {
      await this.idle();
      const state = await readBatchState(store, modelId, bytes);
      if (this.isStopped || !state?.units.some((unit) => unit.state === 'waiting')) return state;
      // Another process has the model, or an execution failed: whoever comes next goes on with the round.
      await sleep(1000);
      const { started } = await this.collect({ trigger: 'next', modelId });
      if (started === 0 && !(await this.isHeld(modelId))) return readBatchState(store, modelId, bytes);
    }
  }

  /** Aborts all executions and waits for their processes. Their edits stay pending. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    for (const execution of this.#running.values()) execution.abort();
    await this.idle();
  }

  #handlersOf({ functions, tasks, services }: Workflow): Record<string, StateHandler> {
    const stages = this.#stages;
    return Object.fromEntries<StateHandler>([
      ...Object.entries(functions).map(
        ([state, stage]) => [state, this.#functionHandler(stage, stages[stage])] as const,
      ),
      ...Object.entries(tasks).map(([state, task]) => [state, this.#taskHandler(task)] as const),
      ...Object.entries(services).map(([state, service]) => [state, this.#serviceHandler(service)] as const),
    ]);
  }

  #functionHandler(stage: FunctionStage, run: StageFunction): StateHandler {
    return async (input, { execution, state }) => {
      const { input: inputSchema, output: outputSchema }: Payload = payloads[stage];
      const output = fitting(outputSchema, await run(fitting(inputSchema, input, stage)), stage);
      execution.keep(state, output as z.core.util.JSONType);
      if (stage === 'notify') execution.keepNote(payloads.notify.output.parse(output));
      return output;
    };
  }

  #taskHandler(task: WorkflowTask): StateHandler {
    const { host, listener } = this.#options;
    return async (input, call) => {
      const { ContainerOverrides } = fitting(jobSchema, input, call.state);
      const { Command: command } = ContainerOverrides;
      await runTaskProcess(host, {
        task,
        command,
        signal: call.signal,
        onProgress: (progress) => listener?.onTaskProgress?.(progress, call, command),
        onNotice: (message) => listener?.onNotice?.(message),
        onAttemptFailed: ({ attempt, error }) =>
          call.execution.record({
            type: 'TaskAttemptFailed',
            state: call.state,
            error: error.name,
            cause: error.message,
            detail: { attempt, command: [...command] },
          }),
      });
      return { Status: 'SUCCEEDED' };
    };
  }

  #serviceHandler(service: 'events' | 'sns'): StateHandler {
    return async (input, { execution }) => {
      const name = newExecutionName(this.#now());
      const event = { schemaVersion: 1, service, executionId: execution.id, parameters: input };
      await this.#options.store.put(eventKey(`${name}.json`), new TextEncoder().encode(`${canonicalJson(event)}\n`));
      return service === 'sns' ? { MessageId: name } : { FailedEntryCount: 0, Entries: [{ EventId: name }] };
    };
  }
}

/** @throws {InvalidInputError} if the definition is not valid Amazon States Language */
async function interpret({ definition }: Workflow): Promise<StateMachine> {
  const { StateMachine } = await import('aws-local-stepfunctions');
  try {
    // The placeholders for deployed resources are no ARNs.
    const validationOptions = { checkArn: false };
    return new StateMachine(definition as unknown as StateMachineDefinition, { validationOptions });
  } catch (cause) {
    const got = (cause as Error).message.replace(/\s+/g, ' ');
    throw new InvalidInputError('state machine', 'valid in the Amazon States Language', got, { cause });
  }
}

interface Payload {
  readonly input: z.ZodType;
  readonly output: z.ZodType;
}

/** The needed part of the parameters of `batch:submitJob`. AWS accepts no numbers in a command. */
const jobSchema = z.looseObject({ ContainerOverrides: z.looseObject({ Command: z.array(z.string()).min(1) }) });

function fitting<T>(schema: z.ZodType<T>, value: unknown, what: string): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [{ path, message }] = parsed.error.issues;
  throw new InvalidInputError(
    `payload of ${what}, ${path.join('.') || 'whole'}`,
    message,
    JSON.stringify(value)?.slice(0, 200) ?? '',
  );
}

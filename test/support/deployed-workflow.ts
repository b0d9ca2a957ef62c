/** @file The workflow as it runs on AWS, as far as that can be had on one machine. */
import '../../src/local/promise-with-resolvers.js';
import {
  CreateStateMachineCommand,
  DescribeExecutionCommand,
  ListExecutionsCommand,
  SFNClient,
  StartExecutionCommand,
  StopExecutionCommand,
} from '@aws-sdk/client-sfn';
import { StateMachine, type StateMachineDefinition } from 'aws-local-stepfunctions';
import { synthesizedTemplate } from '../../cdk/synthesize.js';
import { type WorkflowFile, workflowFile } from '../../cdk/workflow-file.js';
import { handler as collect } from '../../functions/collect.js';
import { handler as ingest } from '../../functions/ingest.js';
import { handler as judge } from '../../functions/judge.js';
import { handler as lease } from '../../functions/lease.js';
import { handler as notify } from '../../functions/notify.js';
import { handler as plan } from '../../functions/plan.js';
import { handler as publish } from '../../functions/publish.js';
import { type ExecutionInput, environmentNames, type FunctionStage } from '../../src/workflow/contract.js';
import { ContainerEntry } from './container-entry.js';
import { named } from './scripted-workflow.js';

const handlers: Readonly<Record<FunctionStage, (event: unknown) => Promise<unknown>>> = {
  collect,
  judge,
  ingest,
  lease,
  notify,
  plan,
  publish,
};

/** An execution that ran to its end. */
export interface EndedExecution {
  readonly executionId: string;
  /** Names of the task states in the order of their calls. */
  readonly path: readonly string[];
  /** What it told: the parameters of its calls to EventBridge and SNS. */
  readonly told: readonly Readonly<Record<string, unknown>>[];
  /** Output of the whole; undefined where it failed. */
  readonly output: Readonly<Record<string, unknown>> | undefined;
  readonly failure: { readonly error: string; readonly cause: string } | undefined;
}

/**
 * The synthesized state machine by an interpreter, its functions called with events as Lambda calls them, its jobs as
 * processes with the container's entry point. Executions are started, described and listed by the Step Functions that the
 * SDK's endpoint names, where nothing but their status lives: what is started there runs with `runStarted`.
 */
export class DeployedWorkflow {
  readonly #client = new SFNClient({});
  /** Folder in which jobs keep the model: a new one is a new machine. */
  cacheFolder = '';
  readonly #workflow: WorkflowFile;
  readonly #entry: ContainerEntry;
  readonly #environment: Readonly<Record<string, string>>;

  private constructor(
    readonly stateMachineArn: string,
    workflow: WorkflowFile,
    entry: ContainerEntry,
    environment: Readonly<Record<string, string>>,
  ) {
    this.#workflow = workflow;
    this.#entry = entry;
    this.#environment = environment;
  }

  /** @param environment of the jobs; functions take the store from this process's own */
  static async deploy(environment: Readonly<Record<string, string>>): Promise<DeployedWorkflow> {
    const workflow = workflowFile(synthesizedTemplate());
    const client = new SFNClient({});
    const { stateMachineArn = '' } = await client.send(
      new CreateStateMachineCommand({
        name: 'hookline',
        definition: JSON.stringify(workflow.definition),
        roleArn: 'arn:aws:iam::123456789012:role/hookline',
      }),
    );
    client.destroy();
    return new DeployedWorkflow(stateMachineArn, workflow, new ContainerEntry(), environment);
  }

  remove(): void {
    this.#client.destroy();
  }

  /** Calls a function as Lambda does. @throws {Error} by the name and with the cause that the state machine sees */
  async call(stage: FunctionStage, event: unknown): Promise<Record<string, string>> {
    try {
      return throughJson(await handlers[stage](throughJson(event)));
    } catch (error) {
      const { name, message } = error as Error;
      throw named(name, JSON.stringify({ errorType: name, errorMessage: message, trace: [] }));
    }
  }

  /** Starts an execution, as a rule of EventBridge does. @returns its ARN */
  async start(input: ExecutionInput): Promise<string> {
    const { stateMachineArn } = this;
    const command = new StartExecutionCommand({ stateMachineArn, input: JSON.stringify(input) });
    return (await this.#client.send(command)).executionArn ?? '';
  }

  /** Ends an execution where it stands: no state of it runs any more. */
  async stop(executionArn: string): Promise<void> {
    await this.#client.send(new StopExecutionCommand({ executionArn }));
  }

  /** Runs all executions that were started, and those that they start, oldest first. */
  async runStarted(except: readonly string[] = []): Promise<EndedExecution[]> {
    const ended: EndedExecution[] = [];
    for (;;) {
      const waiting = (await this.#running()).filter((arn) => !except.includes(arn));
      if (waiting.length === 0) return ended;
      for (const arn of waiting) ended.push(await this.#run(arn));
    }
  }

  async #running(): Promise<string[]> {
    const { stateMachineArn } = this;
    const listed = await this.#client.send(
      new ListExecutionsCommand({ stateMachineArn, statusFilter: 'RUNNING', maxResults: 100 }),
    );
    return (listed.executions ?? []).map(({ executionArn = '' }) => executionArn).reverse();
  }

  async #run(executionArn: string): Promise<EndedExecution> {
    const { input = '' } = await this.#client.send(new DescribeExecutionCommand({ executionArn }));
    const path: string[] = [];
    const told: Record<string, unknown>[] = [];
    const handler = (state: string) => async (given: unknown) => {
      path.push(state);
      const { functions, tasks } = this.#workflow;
      if (state in functions) return this.call(functions[state], given);
      if (state in tasks) await this.#runJob(state, given as Job);
      else told.push(given as Record<string, unknown>);
      return {};
    };
    const states = Object.values(this.#workflow).flatMap((part) => Object.keys(part));
    const machine = new StateMachine(this.#workflow.definition as unknown as StateMachineDefinition, {
      validationOptions: { noValidate: true },
    });
    const run = machine.run(JSON.parse(input), {
      overrides: { taskResourceLocalHandlers: Object.fromEntries(states.map((state) => [state, handler(state)])) },
      context: { Execution: { Id: executionArn } },
    });
    let failure: EndedExecution['failure'];
    const output: unknown = await run.result.catch((error: Error) => {
      const { name, message } = error.cause instanceof Error ? error.cause : error;
      failure = { error: name, cause: message };
    });
    await this.stop(executionArn);
    return { executionId: executionArn, path, told, output: output as EndedExecution['output'], failure };
  }

  /** Attempts as AWS Batch makes them. @throws {Error} named and told as Step Functions does */
  async #runJob(state: string, { ContainerOverrides: { Command } }: Job): Promise<void> {
    const { attempts, permanentExitCodes } = this.#workflow.tasks[state];
    const environment = { ...this.#environment, [environmentNames.cache]: this.cacheFolder };
    for (let attempt = 1; ; attempt++) {
      const { exitCode, errors } = await this.#entry.start(Command, environment).ended;
      if (exitCode === 0) return;
      if (attempt < attempts && !permanentExitCodes.includes(exitCode ?? 0)) continue;
      const Container = { ExitCode: exitCode, LogStreamName: errors.trim().split('\n').at(-1) };
      const StatusReason = 'Essential container in task exited';
      throw named('States.TaskFailed', JSON.stringify({ Container, Status: 'FAILED', StatusReason }));
    }
  }
}

interface Job {
  readonly ContainerOverrides: { readonly Command: readonly string[] };
}

const throughJson = (value: unknown) => JSON.parse(JSON.stringify(value));

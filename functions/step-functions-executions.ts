import { DescribeExecutionCommand, ExecutionDoesNotExist, SFNClient, StartExecutionCommand } from '@aws-sdk/client-sfn';
import { InvalidInputError } from '../src/errors.js';
import type { ExecutionInput } from '../src/workflow/contract.js';
import type { Executions } from '../src/workflow/index.js';

/** Executions of a state machine in AWS Step Functions. */
export class StepFunctionsExecutions implements Executions {
  #opened: SFNClient | undefined;
  readonly #stateMachineArn: string;

  /** @param stateMachineArn needed to start executions only */
  constructor(stateMachineArn: string, client?: SFNClient) {
    this.#stateMachineArn = stateMachineArn;
    this.#opened = client;
  }

  /** Whether it runs or is about to. A redriven execution keeps its name. */
  async isRunning(executionId: string): Promise<boolean> {
    // An id that is no ARN is no execution here. It may be one of a local workflow on the same store.
    if (!executionId.startsWith('arn:')) return false;
    try {
      const { status } = await this.#client.send(new DescribeExecutionCommand({ executionArn: executionId }));
      return status === 'RUNNING' || status === 'PENDING_REDRIVE';
    } catch (error) {
      if (error instanceof ExecutionDoesNotExist) return false;
      throw error;
    }
  }

  /** @throws {InvalidInputError} if this function was given no state machine */
  async start(input: ExecutionInput): Promise<string> {
    if (this.#stateMachineArn === '') throw new InvalidInputError('state machine', 'an ARN', 'none');
    const stateMachineArn = this.#stateMachineArn;
    const started = await this.#client.send(
      new StartExecutionCommand({ stateMachineArn, input: JSON.stringify(input) }),
    );
    if (started.executionArn === undefined) throw new InvalidInputError('started execution', 'an ARN', 'none');
    return started.executionArn;
  }

  get #client(): SFNClient {
    this.#opened ??= new SFNClient({ maxAttempts: 5 });
    return this.#opened;
  }
}

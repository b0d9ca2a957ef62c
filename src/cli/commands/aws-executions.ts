/** @file The only place that talks to AWS Step Functions from the command line. */
import {
  DescribeExecutionCommand,
  ListExecutionsCommand,
  RedriveExecutionCommand,
  SFNClient,
  SFNServiceException,
  StartExecutionCommand,
} from '@aws-sdk/client-sfn';
import { InvalidInputError, TransientError } from '../../errors.js';
import type { ExecutionInput } from '../../workflow/index.js';

export interface AwsExecution {
  readonly executionId: string;
  readonly name: string;
  readonly status: string;
  readonly startedAt: string;
  readonly endedAt: string | null;
  /** Null unless the execution failed. */
  readonly error: string | null;
  readonly cause: string | null;
}

/**
 * Lists the newest executions of a state machine.
 *
 * @throws {InvalidInputError} if the ARN is not one of a state machine, or the machine does not exist
 * @throws {TransientError} if AWS gives no answer
 */
export async function listAwsExecutions(stateMachineArn: string, limit: number): Promise<readonly AwsExecution[]> {
  const client = clientFor(stateMachineArn, 'stateMachine');
  const found: AwsExecution[] = [];
  let nextToken: string | undefined;
  do {
    const maxResults = Math.min(limit - found.length, 100);
    const command = new ListExecutionsCommand({ stateMachineArn, maxResults, ...(nextToken && { nextToken }) });
    const page = await answer(() => client.send(command), `state machine ${stateMachineArn}`);
    for (const { executionArn = '', status = '' } of page.executions ?? []) {
      found.push(await describe(client, executionArn, status));
    }
    nextToken = page.nextToken;
  } while (nextToken !== undefined && found.length < limit);
  return found;
}

async function describe(client: SFNClient, executionArn: string, listedStatus: string): Promise<AwsExecution> {
  const command = new DescribeExecutionCommand({ executionArn });
  const { name, status, startDate, stopDate, error, cause } = await answer(() => client.send(command), executionArn);
  return {
    executionId: executionArn,
    name: name ?? executionArn,
    status: status ?? listedStatus,
    startedAt: startDate?.toISOString() ?? '',
    endedAt: stopDate?.toISOString() ?? null,
    error: error ?? null,
    cause: cause ?? null,
  };
}

/**
 * Resumes a failed execution at the state that failed.
 * @returns the time of the redrive
 * @throws as `listAwsExecutions`
 */
export async function redriveAwsExecution(executionArn: string): Promise<string | null> {
  const client = clientFor(executionArn, 'execution');
  const command = new RedriveExecutionCommand({ executionArn });
  const { redriveDate } = await answer(() => client.send(command), `execution ${executionArn}`);
  return redriveDate?.toISOString() ?? null;
}

/** Starts an execution. @returns its ARN @throws as `listAwsExecutions` */
export async function startAwsExecution(stateMachineArn: string, input: ExecutionInput): Promise<string> {
  const client = clientFor(stateMachineArn, 'stateMachine');
  const command = new StartExecutionCommand({ stateMachineArn, input: JSON.stringify(input) });
  return (await answer(() => client.send(command), `state machine ${stateMachineArn}`)).executionArn ?? '';
}

function clientFor(arn: string, resource: 'stateMachine' | 'execution'): SFNClient {
  const [, region] = new RegExp(`^arn:aws[a-z-]*:states:([a-z0-9-]+):\\d{12}:${resource}:.`).exec(arn) ?? [];
  if (region === undefined) {
    const form = `arn:aws:states:<region>:<account>:${resource}:<name>`;
    throw new InvalidInputError(`ARN of the ${resource}`, form, JSON.stringify(arn));
  }
  return new SFNClient({ region });
}

async function answer<T>(ask: () => Promise<T>, what: string): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    throw asError(error, what);
  }
}

function asError(error: unknown, what: string): unknown {
  if (!(error instanceof Error)) return error;
  const got = `${error.name}: ${error.message.replace(/\s+/g, ' ')}`;
  const isOurs = error instanceof SFNServiceException && error.$fault === 'client' && !/Throttl/.test(error.name);
  if (isOurs) return new InvalidInputError(what, 'an existing one that takes this request', got, { cause: error });
  return new TransientError(`${what}: an answer of AWS, got ${got}`, { cause: error });
}

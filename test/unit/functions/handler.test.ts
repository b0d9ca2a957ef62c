import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SFNClient } from '@aws-sdk/client-sfn';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { functionHandler } from '../../../functions/handler.js';
import { handler as ingest } from '../../../functions/ingest.js';
import { StepFunctionsExecutions } from '../../../functions/step-functions-executions.js';
import {
  ConflictError,
  DigestMismatchError,
  PreconditionFailedError,
  StaleBaseError,
  TransientError,
} from '../../../src/errors.js';
import { environmentNames } from '../../../src/workflow/contract.js';
import { type Answer, type AnsweringServer, answering } from '../../support/answering-server.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hookline-functions-'));
  process.env[environmentNames.store] = folder;
});
afterAll(async () => {
  delete process.env[environmentNames.store];
  await rm(folder, { recursive: true });
});

const event = { trigger: 'drop', objectKey: 'incoming/m/x', modelId: '', executionId: 'e' };

async function nameOfThrown(error: unknown): Promise<string> {
  const handler = functionHandler('ingest', async () => {
    throw error;
  });
  return handler(event).then(
    () => 'nothing',
    (thrown: Error) => thrown.name,
  );
}

describe('a function', () => {
  it('answers what its stage answers', async () => {
    expect(await ingest(event)).toMatchObject({ outcome: 'rejected', modelId: 'm' });
  });

  it('refuses what is not of the contract as permanent', async () => {
    const refused = ingest({ ...event, trigger: 'whim' });
    await expect(refused).rejects.toMatchObject({ name: 'PermanentError' });
    await expect(refused).rejects.toThrow('input of ingest: trigger');
    await expect(ingest(undefined)).rejects.toThrow('input of ingest: payload');
  });

  it('throws under the names by which the state machine retries and catches', async () => {
    expect(await nameOfThrown(new StaleBaseError('m', 1, 2))).toBe('StaleBaseError');
    expect(await nameOfThrown(new DigestMismatchError('x', 'a', 'b'))).toBe('PermanentError');
    expect(await nameOfThrown(new PreconditionFailedError('x', 'absent'))).toBe('PermanentError');
    expect(await nameOfThrown(new ConflictError('x'))).toBe('TransientError');
    expect(await nameOfThrown(new TransientError('x'))).toBe('TransientError');
    expect(await nameOfThrown(new RangeError('x'))).toBe('RangeError');
  });
});

describe('executions of Step Functions', () => {
  const arn = 'arn:aws:states:us-east-1:123456789012:execution:hookline:e';
  let server: AnsweringServer;
  afterEach(() => server.close());

  async function executionsAnswering(...answers: readonly Answer[]): Promise<StepFunctionsExecutions> {
    server = await answering(answers);
    const credentials = { accessKeyId: 'x', secretAccessKey: 'x' };
    const client = new SFNClient({ endpoint: server.url, region: 'us-east-1', credentials, maxAttempts: 1 });
    return new StepFunctionsExecutions('arn:machine', client);
  }

  it.each([
    ['RUNNING', true],
    ['PENDING_REDRIVE', true],
    ['SUCCEEDED', false],
    ['FAILED', false],
    ['TIMED_OUT', false],
    ['ABORTED', false],
  ])('that are %s run: %s', async (status, isRunning) => {
    const executions = await executionsAnswering({ status: 200, body: { executionArn: arn, status } });
    expect(await executions.isRunning(arn)).toBe(isRunning);
  });

  it('that nobody knows do not run; any other failure is one', async () => {
    const unknown = { status: 400, body: { __type: 'ExecutionDoesNotExist', message: 'no' } };
    const denied = { status: 400, body: { __type: 'AccessDeniedException', message: 'no' } };
    const executions = await executionsAnswering(unknown, denied);
    expect(await executions.isRunning(arn)).toBe(false);
    await expect(executions.isRunning(arn)).rejects.toThrow('no');
    expect(await executions.isRunning('local-execution')).toBe(false);
  });

  it('are started with their input', async () => {
    const executions = await executionsAnswering({ status: 200, body: { executionArn: arn, startDate: 1 } });
    const input = { trigger: 'next', objectKey: '', modelId: 'm' } as const;
    expect(await executions.start(input)).toBe(arn);
    expect(JSON.parse(server.requests[0])).toEqual({ stateMachineArn: 'arn:machine', input: JSON.stringify(input) });
  });
});

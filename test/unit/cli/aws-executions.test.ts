import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { listAwsExecutions, redriveAwsExecution, startAwsExecution } from '../../../src/cli/commands/aws-executions.js';

const stateMachine = 'arn:aws:states:eu-west-1:123456789012:stateMachine:hookline';
const execution = (name: string) => `arn:aws:states:eu-west-1:123456789012:execution:hookline:${name}`;

/** What the service's endpoint was asked, and answers. */
let asked: { readonly operation: string; readonly body: Record<string, unknown> }[];
let answers: Record<string, (body: Record<string, unknown>) => { status?: number; body: Record<string, unknown> }>;
let server: Server;

const environment = { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test', AWS_MAX_ATTEMPTS: '1' };
beforeAll(async () => {
  server = createServer((request, response) => {
    let text = '';
    request.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
    request.on('end', () => {
      const operation = String(request.headers['x-amz-target']).split('.')[1];
      const body = JSON.parse(text) as Record<string, unknown>;
      asked.push({ operation, body });
      const answer = answers[operation](body);
      response.writeHead(answer.status ?? 200, { 'content-type': 'application/x-amz-json-1.0' });
      response.end(JSON.stringify(answer.body));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  Object.assign(process.env, environment, {
    AWS_ENDPOINT_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
  });
});
afterAll(() => {
  server.close();
  for (const name of [...Object.keys(environment), 'AWS_ENDPOINT_URL']) delete process.env[name];
});

describe('executions on AWS', () => {
  it('are listed page by page with what they failed with', async () => {
    asked = [];
    const started = Date.UTC(2026, 2, 1) / 1000;
    answers = {
      ListExecutions: ({ nextToken }) => ({
        body:
          nextToken === undefined
            ? { executions: [{ executionArn: execution('a'), status: 'FAILED' }], nextToken: 'more' }
            : { executions: [{ executionArn: execution('b'), status: 'RUNNING' }] },
      }),
      DescribeExecution: ({ executionArn }) => ({
        body:
          executionArn === execution('a')
            ? {
                executionArn,
                name: 'a',
                status: 'FAILED',
                startDate: started,
                stopDate: started + 5,
                error: 'PermanentError',
                cause: 'bad',
              }
            : { executionArn, name: 'b', status: 'RUNNING', startDate: started },
      }),
    };
    expect(await listAwsExecutions(stateMachine, 5)).toEqual([
      {
        executionId: execution('a'),
        name: 'a',
        status: 'FAILED',
        startedAt: '2026-03-01T00:00:00.000Z',
        endedAt: '2026-03-01T00:00:05.000Z',
        error: 'PermanentError',
        cause: 'bad',
      },
      {
        executionId: execution('b'),
        name: 'b',
        status: 'RUNNING',
        startedAt: '2026-03-01T00:00:00.000Z',
        endedAt: null,
        error: null,
        cause: null,
      },
    ]);
    expect(asked.filter(({ operation }) => operation === 'ListExecutions').map(({ body }) => body.maxResults)).toEqual([
      5, 4,
    ]);
  });

  it('are started and redriven', async () => {
    asked = [];
    answers = {
      StartExecution: () => ({ body: { executionArn: execution('c'), startDate: 0 } }),
      RedriveExecution: () => ({ body: { redriveDate: 0 } }),
    };
    const input = { trigger: 'run', objectKey: '', modelId: 'tiny' } as const;
    expect(await startAwsExecution(stateMachine, input)).toBe(execution('c'));
    expect(JSON.parse(String(asked[0].body.input))).toEqual(input);
    expect(await redriveAwsExecution(execution('a'))).toBe('1970-01-01T00:00:00.000Z');
    expect(asked[1].body).toMatchObject({ executionArn: execution('a') });
  });

  it('that are none say so, and an endpoint that does not answer may do so later', async () => {
    answers = {
      RedriveExecution: () => ({ status: 400, body: { __type: 'ExecutionNotRedrivable', message: 'it succeeded' } }),
      StartExecution: () => ({ status: 500, body: { __type: 'InternalError', message: 'try again' } }),
    };
    await expect(redriveAwsExecution('hookline')).rejects.toThrow(
      'ARN of the execution: arn:aws:states:<region>:<account>:execution:<name>, got "hookline"',
    );
    await expect(redriveAwsExecution(execution('a'))).rejects.toMatchObject({
      name: 'InvalidInputError',
      message: expect.stringContaining('it succeeded'),
    });
    const input = { trigger: 'run', objectKey: '', modelId: 'tiny' } as const;
    await expect(startAwsExecution(stateMachine, input)).rejects.toMatchObject({ name: 'TransientError' });
  });
});

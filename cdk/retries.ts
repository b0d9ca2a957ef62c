/** @file What is tried again, and why. Each reason is written into the state that has the policy. */
import { Duration } from 'aws-cdk-lib';
import { Errors, JitterType, type RetryProps } from 'aws-cdk-lib/aws-stepfunctions';
import { errorNames } from '../src/workflow/contract.js';

export interface ReasonedRetry {
  readonly reason: string;
  readonly policy: RetryProps;
}

// Full jitter: many executions that met the same trouble must not come back together.
const backoff = {
  maxAttempts: 5,
  interval: Duration.seconds(1),
  backoffRate: 2,
  maxDelay: Duration.seconds(30),
  jitterStrategy: JitterType.FULL,
};

/** For functions. Not `PermanentError`, nor `StaleBaseError`: the same call would fail the same way. */
export const functionRetry: ReasonedRetry = {
  reason:
    'Lambda throttles, loses a sandbox or runs out of time now and then, and a store may not answer or see two writers: all stages may be repeated, since they look for what is stored first.',
  policy: {
    ...backoff,
    errors: [
      'Lambda.ServiceException',
      'Lambda.AWSLambdaException',
      'Lambda.SdkClientException',
      'Lambda.TooManyRequestsException',
      'Lambda.Unknown',
      'Sandbox.Timedout',
      'Runtime.ExitError',
      errorNames.transient,
      'ConflictError',
      Errors.TIMEOUT,
    ],
  },
};

/** For container tasks. The job's own attempts are Batch's: here only its API is asked again. */
export const taskRetry: ReasonedRetry = {
  reason:
    'Batch throttles or fails to take a job now and then; a job taken twice finds what the first has stored. A job that failed has had its attempts in Batch.',
  policy: {
    ...backoff,
    errors: [
      'Batch.AWSBatchException',
      'Batch.BatchException',
      'Batch.ServerException',
      'Batch.SdkClientException',
      'Batch.TooManyRequestsException',
    ],
  },
};

/** For events and messages. */
export const serviceRetry: ReasonedRetry = {
  reason: 'EventBridge and SNS throttle and fail now and then, and a message told twice does no harm.',
  policy: { ...backoff, errors: [Errors.TASKS_FAILED, Errors.TIMEOUT] },
};

/** @file Retry policies and their reasons. Each reason is written into the states with the policy. */
import { Duration } from 'aws-cdk-lib';
import { Errors, JitterType, type RetryProps } from 'aws-cdk-lib/aws-stepfunctions';
import { errorNames } from '../src/workflow/contract.js';

export interface ReasonedRetry {
  readonly reason: string;
  readonly policy: RetryProps;
}

// Full jitter, so that executions which failed together do not come back together.
const backoff = {
  maxAttempts: 5,
  interval: Duration.seconds(1),
  backoffRate: 2,
  maxDelay: Duration.seconds(30),
  jitterStrategy: JitterType.FULL,
};

/** For functions. `PermanentError` and `StaleBaseError` are not retried, because the same call would fail again. */
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

/** For calls of Batch's API. Batch itself makes the further attempts of a job. */
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

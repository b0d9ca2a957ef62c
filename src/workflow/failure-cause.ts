/** @file The cause of a failure, in words. The state machine passes on JSON from functions and from jobs. */
import { z } from 'zod';
import { parseJson } from '../json.js';

const functionCause = z.looseObject({ errorMessage: z.string() });
const jobCause = z.looseObject({
  StatusReason: z.string().optional(),
  Container: z.looseObject({
    ExitCode: z.number().optional(),
    Reason: z.string().optional(),
    LogStreamName: z.string().optional(),
  }),
});

const longestCause = 4000;

/** The message in a failure's cause. */
export function causeInWords(cause: string): string {
  const value = jsonOrUndefined(cause);
  const thrown = functionCause.safeParse(value);
  if (thrown.success) return thrown.data.errorMessage.slice(0, longestCause);
  const job = jobCause.safeParse(value);
  if (!job.success) return cause.slice(0, longestCause);
  const { StatusReason, Container } = job.data;
  const parts = [
    StatusReason ?? 'the job failed',
    ...(Container.ExitCode === undefined ? [] : [`exit code ${Container.ExitCode}`]),
    ...(Container.Reason === undefined ? [] : [Container.Reason]),
    ...(Container.LogStreamName === undefined ? [] : [`log stream ${Container.LogStreamName}`]),
  ];
  return parts.join(', ').slice(0, longestCause);
}

function jsonOrUndefined(text: string): unknown {
  try {
    return parseJson(text);
  } catch {
    // The cause is words, not JSON.
    return undefined;
  }
}

/** Whether the cause says that a job ended with this exit code. */
export const hasExitCode = (cause: string, exitCode: number): boolean =>
  [...cause.matchAll(/"ExitCode"\s*:\s*(\d+)/g)].some(([, code]) => Number(code) === exitCode);

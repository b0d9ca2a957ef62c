import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { parseJson } from '../json.js';
import { errorNames, exitCodes } from '../workflow/index.js';
import type { WorkflowTask } from './load-workflow.js';
import type { Slots } from './slots.js';
import { StateError } from './state-error.js';

/** The lines that a task prints, each a JSON object: its progress, a notice, or the reason of its failure. */
const printedSchema = z.union([
  z.object({
    stage: z.string(),
    done: z.number(),
    total: z.number(),
    unit: z.string(),
    detail: z.string().optional(),
  }),
  z.object({ notice: z.string() }),
  z.object({ error: z.string(), message: z.string() }),
]);

/** The progress of a container task. */
export interface TaskProgress {
  readonly stage: string;
  readonly done: number;
  readonly total: number;
  readonly unit: string;
  readonly detail?: string | undefined;
}

/** Where and how container tasks run on this machine. */
export interface TaskHost {
  /** The container's entry point: a program for Node. */
  readonly entryPoint: string;
  /** Variables in addition to this process's own environment. */
  readonly environment: Readonly<Record<string, string>>;
  /** Limits how many run at the same time. */
  readonly slots: Slots;
  /** Pause before the second attempt. It doubles before each further one. */
  readonly backoffSeconds: number;
  /** Time between SIGTERM and SIGKILL. */
  readonly graceSeconds: number;
}

/** One task to run. */
export interface TaskRun {
  readonly task: WorkflowTask;
  readonly command: readonly string[];
  readonly signal: AbortSignal;
  readonly onProgress?: (progress: TaskProgress) => void;
  readonly onNotice?: (message: string) => void;
  readonly onAttemptFailed?: (failure: { readonly attempt: number; readonly error: Error }) => void;
}

/** The error name of Step Functions for a job that failed. */
const taskFailed = 'States.TaskFailed';
const timedOut = 'States.Timeout';

/**
 * Runs the container's entry point as a process, and again if it fails, like the retry strategy of AWS Batch.
 *
 * @throws {StateError} named `PermanentError` for an exit code that rules out another attempt, or `States.Timeout`,
 *   `MachineError` or `States.TaskFailed` if all attempts failed; with the last line of the process's standard error
 * @throws the signal's reason if it is aborted, after the process has ended
 */
export async function runTaskProcess(host: TaskHost, run: TaskRun): Promise<void> {
  const { task, signal } = run;
  for (let attempt = 1; ; attempt++) {
    const error = await host.slots.run(signal, () => runAttempt(host, run));
    signal.throwIfAborted();
    if (error === undefined) return;
    run.onAttemptFailed?.({ attempt, error });
    if (error.name === errorNames.permanent || attempt >= task.attempts) throw error;
    await pause(host.backoffSeconds * 2 ** (attempt - 1), signal);
  }
}

async function pause(seconds: number, signal: AbortSignal): Promise<void> {
  await sleep(seconds * 1000, undefined, { signal }).catch((error: unknown) => {
    signal.throwIfAborted();
    throw error;
  });
}

/** The error of a failed attempt, or undefined. */
async function runAttempt(host: TaskHost, run: TaskRun): Promise<Error | undefined> {
  const { task, command, signal } = run;
  const timeout = AbortSignal.timeout(task.timeoutSeconds * 1000);
  let said = '';
  const { code, killedBy } = await runProcess(host, command, AbortSignal.any([signal, timeout]), (line) => {
    // The last line of a program is the reason.
    said = heard(line, run) ?? said;
  });
  if (code === 0) return undefined;
  if (timeout.aborted)
    return new StateError(timedOut, `${task.stage}: ended within ${task.timeoutSeconds} s, got more`);
  const end = killedBy === null ? `exit code ${code}` : `signal ${killedBy}`;
  const isPermanent = code !== null && task.permanentExitCodes.includes(code);
  const other = code === exitCodes.machine ? errorNames.machine : taskFailed;
  return new StateError(isPermanent ? errorNames.permanent : other, said || `${task.stage}: ${end}`);
}

/** Passes progress and notices on. Returns other lines, which may be the reason of a failure. */
function heard(line: string, { onProgress, onNotice }: TaskRun): string | undefined {
  const printed = parsed(line);
  if (printed === undefined) return line.trim().slice(0, 2000) || undefined;
  if ('message' in printed) return printed.message;
  if ('notice' in printed) onNotice?.(printed.notice);
  else onProgress?.(printed);
  return undefined;
}

function parsed(line: string): z.infer<typeof printedSchema> | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    return printedSchema.safeParse(parseJson(line)).data;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

interface ProcessEnd {
  readonly code: number | null;
  readonly killedBy: NodeJS.Signals | null;
}

function runProcess(
  { entryPoint, environment, graceSeconds }: TaskHost,
  command: readonly string[],
  signal: AbortSignal,
  onLine: (line: string) => void,
): Promise<ProcessEnd> {
  const child = spawn(process.execPath, [entryPoint, ...command], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...environment },
  });
  for (const stream of [child.stdout, child.stderr]) splitLines(stream, onLine);
  let killer: NodeJS.Timeout | undefined;
  const terminate = () => {
    child.kill('SIGTERM');
    killer = setTimeout(() => child.kill('SIGKILL'), graceSeconds * 1000);
  };
  signal.addEventListener('abort', terminate, { once: true });
  if (signal.aborted) terminate();
  return new Promise<ProcessEnd>((resolve, reject) => {
    child.on('error', reject).on('close', (code, killedBy) => resolve({ code, killedBy }));
  }).finally(() => {
    clearTimeout(killer);
    signal.removeEventListener('abort', terminate);
  });
}

// A process that never ends its line must not fill the memory.
const longestLine = 1 << 20;

function splitLines(stream: NodeJS.ReadableStream, onLine: (line: string) => void): void {
  let rest = '';
  stream.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop()!.slice(-longestLine);
    for (const line of lines) onLine(line);
  });
  stream.on('end', () => onLine(rest));
}

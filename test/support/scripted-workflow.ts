/** @file The state machine, run by an interpreter with scripted answers in the place of its stages. */
import '../../src/local/promise-with-resolvers.js';
import { type RunOptions, StateMachine, type StateMachineDefinition } from 'aws-local-stepfunctions';
import { statesOf, type WorkflowFile } from '../../cdk/workflow-file.js';
import { type FunctionStage, payloads } from '../../src/workflow/contract.js';

export const scriptedExecutionId = 'arn:aws:states:us-east-1:000000000000:execution:hookline:test';

/** What a task state comes to. */
export type Answer = Error | Readonly<Record<string, unknown>>;

/** The answers of a state, in the order of its calls; the last one again for further calls. */
export type Script = Readonly<Record<string, readonly Answer[]>>;

export interface ScriptedRun {
  /** Names of all states in the order in which they were entered, shards apart. */
  readonly path: readonly string[];
  /** What each task state was called with. */
  readonly calls: ReadonlyMap<string, readonly Record<string, unknown>[]>;
  /** What each task state answered to its calls, whole. */
  readonly answers: ReadonlyMap<string, readonly Answer[]>;
  /** Commands of container tasks, in the order of their calls. */
  readonly commands: readonly string[];
  /** Of the whole execution; undefined where it failed. */
  readonly output: unknown;
  /** How it failed, or undefined. */
  readonly failure: { readonly error: string; readonly cause: string } | undefined;
}

/** An error by the name that the state machine sees. */
export function named(name: string, message = 'scripted'): Error {
  const error = new Error(message);
  error.name = name;
  return error;
}

/**
 * Runs the definition. Every payload is checked against the contract, and so is every scripted answer.
 * @throws {Error} for a payload outside the contract, or an error of the interpreter itself: its own catches must not hide it
 */
export async function runScripted(workflow: WorkflowFile, input: unknown, script: Script): Promise<ScriptedRun> {
  const calls = new Map<string, Record<string, unknown>[]>();
  const answers = new Map<string, Answer[]>();
  const commands: string[] = [];
  const broken: string[] = [];
  const scripted = new Set(Object.values(script).flatMap((answers) => answers.filter((one) => one instanceof Error)));

  const handler = (name: string) => (payload: unknown) => {
    const earlier = calls.get(name) ?? [];
    calls.set(name, [...earlier, payload as Record<string, unknown>]);
    const stage = workflow.functions[name];
    if (stage !== undefined) broken.push(...faultsOf(`input of ${name}`, payloads[stage].input.safeParse(payload)));
    if (name in workflow.tasks) commands.push(commandOf(payload).join(' '));
    const scripts = script[name] ?? (stage === undefined ? [{}] : [usualAnswers[stage]]);
    const answer = scripts[Math.min(earlier.length, scripts.length - 1)];
    const isWhole = answer instanceof Error || stage === undefined;
    const whole = isWhole ? answer : { ...usualAnswers[stage], ...answer };
    answers.set(name, [...(answers.get(name) ?? []), whole]);
    if (whole instanceof Error) throw whole;
    if (stage !== undefined) broken.push(...faultsOf(`answer of ${name}`, payloads[stage].output.safeParse(whole)));
    return whole as Record<string, string>;
  };

  const names = [...statesOf(workflow.definition)].map(([name]) => name);
  const unknown = Object.keys(script).filter((name) => !names.includes(name));
  if (unknown.length > 0) throw new Error(`script: states of the machine, got ${unknown.join(', ')}`);
  const overrides: NonNullable<RunOptions['overrides']> = {
    taskResourceLocalHandlers: Object.fromEntries(names.map((name) => [name, handler(name)])),
    retryIntervalOverrides: Object.fromEntries(names.map((name) => [name, 0])),
  };
  const machine = new StateMachine(workflow.definition as unknown as StateMachineDefinition, {
    // That it is valid has a test of its own.
    validationOptions: { noValidate: true },
  });
  const run = machine.run(input as Record<string, string>, {
    overrides,
    context: { Execution: { Id: scriptedExecutionId, Name: 'test' } },
  });
  // What it failed with is in its events.
  const ended = run.result.catch(() => undefined);
  const path: string[] = [];
  let failure: ScriptedRun['failure'];
  for await (const event of run.eventLogs) {
    if (event.type === 'StateEntered' && event.state.name in workflow.definition.States) path.push(event.state.name);
    if (event.type === 'ExecutionFailed') failure = { error: event.Error, cause: String(event.Cause) };
    if (event.type === 'StateFailed' && ![...scripted].some((one) => one.name === event.Error)) {
      broken.push(`${event.state.name}: ${event.Error}: ${String(event.Cause)}`);
    }
  }
  const output: unknown = await ended;
  if (broken.length > 0) throw new Error(broken.join('\n'));
  return { path, calls, answers, commands, output, failure };
}

const commandOf = (given: unknown): string[] =>
  (given as { ContainerOverrides: { Command: string[] } }).ContainerOverrides.Command;

const faultsOf = (what: string, { error }: { error?: Error }): string[] =>
  error === undefined ? [] : [`${what}: ${error.message}`];

/** A round of four edits that is published at once. */
const usualAnswers: Readonly<Record<FunctionStage, Readonly<Record<string, unknown>>>> = {
  ingest: { modelId: 'm', outcome: 'accepted', accepted: 4, rejected: 0, units: 1, reason: '', reportKey: '' },
  lease: { acquired: true, fence: 7, owner: scriptedExecutionId },
  plan: {
    hasRound: true,
    roundId: '0123456789abcdef',
    planKey: 'models/m/rounds/0123456789abcdef/fedcba9876543210/plan.json',
    edits: 4,
    statisticsNeeded: false,
    statisticsShards: [],
    valueShards: [0, 1],
    validationShards: [0],
    attempt: 0,
  },
  judge: { decision: 'publish', attempt: 0, rejected: 0, reason: '' },
  publish: { outcome: 'published', version: 3, edits: 4, rejected: 0, reason: 'held', reportKey: 'models/m/r.html' },
  collect: { models: ['m'], started: 0 },
  notify: {
    outcome: 'PUBLISHED',
    modelId: 'm',
    version: 3,
    subject: 's',
    message: 'm',
    recordKey: 'models/m/records/test.json',
  },
};

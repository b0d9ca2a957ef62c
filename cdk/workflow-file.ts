/** @file The synthesized state machine as plain data, for running it without AWS. */
import { type FunctionStage, functionStages, type TaskStage, taskStages } from '../src/workflow/contract.js';

type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };
type JsonObject = Readonly<Record<string, Json>>;

/** The part of a CloudFormation template that is read. */
export interface Template {
  readonly Resources: Readonly<Record<string, { readonly Type: string; readonly Properties?: JsonObject }>>;
}

/** A container task: its attempts and their time limit. */
interface TaskOfState {
  readonly stage: TaskStage;
  readonly attempts: number;
  readonly permanentExitCodes: readonly number[];
  /** Of one attempt. */
  readonly timeoutSeconds: number;
}

/** A state machine without references, and the stage of each of its task states, by name. */
export interface WorkflowFile {
  readonly definition: AslMachine;
  readonly functions: Readonly<Record<string, FunctionStage>>;
  readonly tasks: Readonly<Record<string, TaskOfState>>;
  readonly services: Readonly<Record<string, 'events' | 'sns'>>;
}

/** A machine, or what runs for each item of a Map. */
export interface AslMachine {
  readonly StartAt: string;
  readonly States: Readonly<Record<string, AslState>>;
}
export type AslState = JsonObject & { readonly Type: string };

/**
 * Reads the one state machine of a template.
 * @throws {Error} for a template without one, or with a state that would run differently elsewhere
 */
export function workflowFile(template: Template): WorkflowFile {
  const machines = Object.values(template.Resources).filter(({ Type }) => Type === 'AWS::StepFunctions::StateMachine');
  if (machines.length !== 1) throw new Error(`template: one state machine, got ${machines.length}`);
  const definition = JSON.parse(resolved(machines[0].Properties?.DefinitionString ?? null, template)) as AslMachine;
  const functions: Record<string, FunctionStage> = {};
  const tasks: Record<string, TaskOfState> = {};
  const services: Record<string, 'events' | 'sns'> = {};
  for (const [name, state] of statesOf(definition)) {
    refuseUnportable(name, state);
    if (state.Type !== 'Task') continue;
    const resource = String(state.Resource);
    if (resource.endsWith(':states:::events:putEvents')) services[name] = 'events';
    else if (resource.endsWith(':states:::sns:publish')) services[name] = 'sns';
    else if (resource.endsWith(':states:::batch:submitJob.sync')) tasks[name] = taskOf(name, state, template);
    else functions[name] = memberOf(functionStages, resource.split(':function:hookline-')[1], `function of ${name}`);
  }
  return { definition, functions, tasks, services };
}

/** Every state with its name, including those inside Map states. */
export function* statesOf(machine: AslMachine): Generator<readonly [string, AslState]> {
  for (const [name, state] of Object.entries(machine.States)) {
    yield [name, state];
    if (state.ItemProcessor !== undefined) yield* statesOf(state.ItemProcessor as unknown as AslMachine);
  }
}

const unportable = [
  'Assign',
  'Arguments',
  'Output',
  'HeartbeatSeconds',
  'HeartbeatSecondsPath',
  'ItemReader',
  'ItemBatcher',
  'ResultWriter',
];

/** Refuses fields that other interpreters silently ignore. */
function refuseUnportable(name: string, state: AslState): void {
  const field = unportable.find((candidate) => candidate in state);
  if (field !== undefined) throw new Error(`state ${name}: none of ${unportable.join(', ')}, got ${field}`);
  const language = state.QueryLanguage ?? 'JSONPath';
  if (language !== 'JSONPath') throw new Error(`state ${name}: JSONPath, got ${JSON.stringify(language)}`);
  const processor = state.ItemProcessor as { ProcessorConfig?: { Mode?: string } } | undefined;
  const mode = processor?.ProcessorConfig?.Mode ?? 'INLINE';
  if (mode !== 'INLINE') throw new Error(`state ${name}: an inline Map, got ${mode}`);
}

/** Reads the job definition of a state's job. */
function taskOf(name: string, state: AslState, template: Template): TaskOfState {
  const { JobDefinition } = state.Parameters as { JobDefinition: string };
  const stage = memberOf(taskStages, JobDefinition.split(':job-definition/hookline-')[1], `job of ${name}`);
  const properties = jobDefinitions(template).find((job) => stageOfJob(job) === stage) as unknown as {
    RetryStrategy: { Attempts: number; EvaluateOnExit: { Action: string; OnExitCode?: string }[] };
    Timeout: { AttemptDurationSeconds: number };
  };
  const exits = properties.RetryStrategy.EvaluateOnExit.filter(
    ({ Action, OnExitCode }) => Action === 'EXIT' && OnExitCode,
  );
  return {
    stage,
    attempts: properties.RetryStrategy.Attempts,
    permanentExitCodes: exits.map(({ OnExitCode }) => Number(OnExitCode)),
    timeoutSeconds: properties.Timeout.AttemptDurationSeconds,
  };
}

const jobDefinitions = ({ Resources }: Template): JsonObject[] =>
  Object.values(Resources).flatMap(({ Type, Properties }) =>
    Type === 'AWS::Batch::JobDefinition' && Properties !== undefined ? [Properties] : [],
  );

/** The command of a job definition is its stage. */
const stageOfJob = (properties: JsonObject) =>
  ((properties.ContainerProperties as JsonObject).Command as readonly string[])[0];

/** Text of `Fn::Join`, `Ref`, `Fn::GetAtt` and plain strings, with names that do not depend on the deployment. */
function resolved(value: Json, template: Template): string {
  if (typeof value === 'string') return value;
  const [[intrinsic, argument] = []] = Object.entries((value ?? {}) as JsonObject);
  if (intrinsic === 'Fn::Join') {
    const [separator, parts] = argument as unknown as [string, Json[]];
    return parts.map((part) => resolved(part, template)).join(separator);
  }
  if (intrinsic === 'Ref') return nameOf(String(argument), template);
  if (intrinsic === 'Fn::GetAtt') return nameOf((argument as readonly string[])[0], template);
  throw new Error(`definition: strings, Fn::Join, Ref and Fn::GetAtt, got ${JSON.stringify(value)}`);
}

const pseudoParameters: Readonly<Record<string, string>> = {
  'AWS::Partition': 'aws',
  'AWS::Region': 'us-east-1',
  'AWS::AccountId': '000000000000',
};

function nameOf(id: string, { Resources }: Template): string {
  const pseudo = pseudoParameters[id];
  if (pseudo !== undefined) return pseudo;
  const { Type, Properties = {} } = Resources[id] ?? {};
  const arn = (service: string, rest: string) => `arn:aws:${service}:us-east-1:000000000000:${rest}`;
  switch (Type) {
    case 'AWS::Lambda::Function':
      return arn('lambda', `function:hookline-${String(Properties.Description).split(' ').at(-1)}`);
    case 'AWS::Batch::JobDefinition':
      return arn('batch', `job-definition/hookline-${stageOfJob(Properties)}`);
    case 'AWS::Batch::JobQueue':
      return arn('batch', 'job-queue/hookline');
    case 'AWS::SNS::Topic':
      return arn('sns', 'hookline');
    case 'AWS::Events::EventBus':
      return 'hookline';
    default:
      throw new Error(`definition: references to functions, jobs, the topic and the bus, got ${id} (${Type})`);
  }
}

function memberOf<T extends string>(all: readonly T[], value: string | undefined, what: string): T {
  const found = all.find((candidate) => candidate === value);
  if (found === undefined) throw new Error(`${what}: one of ${all.join(', ')}, got ${value}`);
  return found;
}

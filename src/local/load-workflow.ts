import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { InvalidInputError } from '../errors.js';
import { parseStored } from '../registry/index.js';
import { functionStages, taskStages } from '../workflow/index.js';

const stateSchema = z.looseObject({ Type: z.string() });
const machineSchema = z.looseObject({ StartAt: z.string(), States: z.record(z.string(), stateSchema) });

/** A container task: its stage, and how often and how long it is tried. */
const taskSchema = z.strictObject({
  stage: z.enum(taskStages),
  attempts: z.int().positive(),
  permanentExitCodes: z.array(z.int()),
  /** Of one attempt. */
  timeoutSeconds: z.number().positive(),
});
export type WorkflowTask = z.infer<typeof taskSchema>;

const workflowSchema = z.strictObject({
  definition: machineSchema,
  functions: z.record(z.string(), z.enum(functionStages)),
  tasks: z.record(z.string(), taskSchema),
  services: z.record(z.string(), z.enum(['events', 'sns'])),
});

type State = z.infer<typeof stateSchema>;
type Machine = z.infer<typeof machineSchema>;

/** A state machine in the Amazon States Language, and the stage of each of its task states, by name. */
export type Workflow = z.infer<typeof workflowSchema>;

/**
 * Reads a workflow file.
 *
 * @throws {MalformedFileError} if it is no workflow
 * @throws {InvalidInputError} like {@link checkWorkflow}, and if there is no such file
 */
export async function loadWorkflow(path: string): Promise<Workflow> {
  return checkWorkflow(parseStored(await textOf(path), workflowSchema, path, 'a state machine with its stages'), path);
}

async function textOf(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw cause;
    throw new InvalidInputError(`state machine ${path}`, 'a file (npm run build writes it)', 'nothing there', {
      cause,
    });
  }
}

/**
 * Refuses fields that the interpreter silently ignores, because the workflow would run differently than on AWS.
 *
 * @param path for messages
 * @returns the workflow, with AWS's defaults and the limits of timers made explicit
 * @throws {InvalidInputError} naming the state and the field
 */
export function checkWorkflow(workflow: Workflow, path = 'state machine'): Workflow {
  const names = new Set<string>();
  checkFields(workflow.definition, refusedOfMachines, `${path}`);
  for (const [name, state] of allStates(workflow.definition)) {
    const what = `${path}, state ${name}`;
    if (names.has(name)) throw new InvalidInputError(what, 'a name of its own', 'a second state of that name');
    names.add(name);
    checkState(state, what);
    if (state.Type === 'Task') checkTask(name, state, workflow, what);
  }
  const tasks = Object.entries(workflow.tasks).map(([name, task]): [string, WorkflowTask] => [
    name,
    { ...task, timeoutSeconds: bounded(task.timeoutSeconds) },
  ]);
  return { ...workflow, definition: withBoundedTimers(workflow.definition), tasks: Object.fromEntries(tasks) };
}

const onlyJsonPath = 'JSONPath, the dialect that runs here as on AWS';

/** Fields that the interpreter ignores, and the requirement for the message. */
const refusedOfMachines: Readonly<Record<string, string>> = { Assign: 'no variables' };
const refusedOfStates: Readonly<Record<string, string>> = {
  ...refusedOfMachines,
  Arguments: onlyJsonPath,
  Output: onlyJsonPath,
  Items: onlyJsonPath,
  Condition: onlyJsonPath,
  HeartbeatSeconds: 'no heartbeats',
  HeartbeatSecondsPath: 'no heartbeats',
  ItemReader: 'an inline Map',
  ItemBatcher: 'an inline Map',
  ResultWriter: 'an inline Map',
  ToleratedFailureCount: 'an inline Map',
  ToleratedFailurePercentage: 'an inline Map',
  Credentials: 'no other account',
};

function checkFields(fields: Record<string, unknown>, refused: Readonly<Record<string, string>>, what: string): void {
  for (const name of Object.keys(fields)) {
    if (Object.hasOwn(refused, name)) throw new InvalidInputError(what, refused[name], name);
  }
  if ('QueryLanguage' in fields && fields.QueryLanguage !== 'JSONPath') {
    throw new InvalidInputError(what, onlyJsonPath, `QueryLanguage ${String(fields.QueryLanguage)}`);
  }
}

function checkState(state: State, what: string): void {
  checkFields(state, refusedOfStates, what);
  const processor = state.ItemProcessor as { ProcessorConfig?: { Mode?: string } } | undefined;
  const mode = processor?.ProcessorConfig?.Mode ?? 'INLINE';
  if (mode !== 'INLINE') throw new InvalidInputError(what, 'an inline Map', `mode ${mode}`);
  for (const choice of recordsOf(state.Choices)) checkFields(choice, refusedOfStates, what);
  for (const catcher of recordsOf(state.Catch)) checkFields(catcher, refusedOfStates, what);
  const resource = typeof state.Resource === 'string' ? state.Resource : '';
  if (resource.endsWith('.waitForTaskToken')) throw new InvalidInputError(what, 'no callbacks', resource);
}

const recordsOf = (value: unknown): Record<string, unknown>[] =>
  Array.isArray(value) ? (value as Record<string, unknown>[]) : [];

function checkTask(name: string, state: State, { functions, tasks, services }: Workflow, what: string): void {
  const meanings = [functions, tasks, services].filter((table) => Object.hasOwn(table, name)).length;
  if (meanings !== 1) {
    throw new InvalidInputError(what, 'one of a function, a task or a service', `${meanings} of them`);
  }
  if (typeof state.Resource !== 'string') throw new InvalidInputError(what, 'a Resource', typeof state.Resource);
}

/** Every state with its name, those inside Map and Parallel states too. */
function* allStates({ States }: Pick<Machine, 'States'>): Generator<[string, State]> {
  for (const [name, state] of Object.entries(States)) {
    yield [name, state];
    for (const inner of innerMachines(state)) yield* allStates(inner);
  }
}

const innerMachines = (state: State): Machine[] =>
  [state.ItemProcessor, state.Iterator, ...recordsOf(state.Branches)].filter(
    (inner): inner is Machine => inner !== undefined,
  );

// Node's timers fire at once beyond 2^31 ms, and AWS's default is longer.
const longestTimerSeconds = 2_000_000;
const bounded = (seconds: unknown): number => Math.min(Number(seconds ?? longestTimerSeconds), longestTimerSeconds);

/** Sets the timeouts of tasks. The interpreter's default is a minute, AWS has nearly no limit. */
function withBoundedTimers<M extends Pick<Machine, 'States'>>(machine: M): M {
  const states = Object.entries(machine.States).map(([name, state]): [string, State] => {
    const inner: Record<string, unknown> = {};
    for (const field of ['ItemProcessor', 'Iterator'] as const) {
      if (state[field] !== undefined) inner[field] = withBoundedTimers(state[field] as Machine);
    }
    if (state.Branches !== undefined) inner.Branches = (state.Branches as Machine[]).map(withBoundedTimers);
    const isTimed = state.Type === 'Task' && !('TimeoutSecondsPath' in state);
    return [name, { ...state, ...inner, ...(isTimed && { TimeoutSeconds: bounded(state.TimeoutSeconds) }) }];
  });
  const own = 'TimeoutSeconds' in machine ? { TimeoutSeconds: bounded(machine.TimeoutSeconds) } : {};
  return { ...machine, ...own, States: Object.fromEntries(states) };
}

/** The names of all states inside Map states, with the Map's name. */
export function mapsOfStates({ definition }: Workflow): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const [name, state] of allStates(definition)) {
    if (state.Type !== 'Map') continue;
    for (const inner of innerMachines(state)) for (const [innerName] of allStates(inner)) found.set(innerName, name);
  }
  return found;
}

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import type { Execution } from '../../../src/local/execution.js';
import { type HistoryEvent, readHistory } from '../../../src/local/execution-history.js';
import { checkWorkflow, type Workflow, type WorkflowTask } from '../../../src/local/load-workflow.js';
import { LocalWorkflow, type StageFunction } from '../../../src/local/local-workflow.js';
import type { TaskHost } from '../../../src/local/run-task-process.js';
import { Slots } from '../../../src/local/slots.js';
import type { ObjectStore } from '../../../src/registry/index.js';
import { MemoryObjectStore } from '../../../src/registry/memory-object-store.js';
import type { ExecutionInput, FunctionStage } from '../../../src/workflow/contract.js';
import { patienceSeconds } from '../../support/patience.js';

/** A function state by its stage, as the workflow file describes it. */
export const functionState = (fields: Record<string, unknown> = {}) => ({
  Type: 'Task',
  Resource: 'function',
  Parameters: { 'trigger.$': '$.trigger', 'modelId.$': '$.modelId' },
  ResultPath: '$.collect',
  End: true,
  ...fields,
});

/** A container task that is told its shard. */
export const taskState = (fields: Record<string, unknown> = {}) => ({
  Type: 'Task',
  Resource: 'arn:aws:states:::batch:submitJob.sync',
  Parameters: {
    ContainerOverrides: { 'Command.$': "States.Array('values', '--shard', States.Format('{}', $.shard))" },
  },
  End: true,
  ...fields,
});

export const mapOver = (inner: Record<string, unknown>, fields: Record<string, unknown> = {}) => ({
  Type: 'Map',
  ItemsPath: '$.shards',
  ItemSelector: { 'shard.$': '$$.Map.Item.Value' },
  ItemProcessor: { ProcessorConfig: { Mode: 'INLINE' }, StartAt: 'Shard', States: { Shard: inner } },
  ResultPath: null,
  End: true,
  ...fields,
});

export const task: WorkflowTask = {
  stage: 'values',
  attempts: 3,
  permanentExitCodes: [64],
  timeoutSeconds: patienceSeconds,
};

/** A workflow of one state, `First`, or of those given; `Shard` is a container task where it occurs. */
export function workflowOf(states: Record<string, unknown>, parts: Partial<Workflow> = {}): Workflow {
  return checkWorkflow({
    definition: { StartAt: Object.keys(states)[0], States: states as Workflow['definition']['States'] },
    functions: {},
    tasks: {},
    services: {},
    ...parts,
  });
}

/** What every entry point may call. `word(name)` gives what follows `--name`. */
const head = `import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
const word = (name) => process.argv[process.argv.indexOf('--' + name) + 1];
const log = (text) => appendFileSync(process.env.TEST_LOG, text + '\\n');
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
`;

/** A folder for one file of tests. */
export function workflowFolder() {
  const folder = mkdtempSync(join(tmpdir(), 'hookline-local-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const fileIn = (name: string): string => join(folder, name);

  /** A container's entry point that does what `body` says. */
  function entryPoint(name: string, body: string): string {
    const path = fileIn(`${name}.mjs`);
    writeFileSync(path, head + body);
    return path;
  }
  return { fileIn, entryPoint };
}

export function hostOf(path: string, environment: Record<string, string> = {}, tasks = 2): TaskHost {
  return {
    entryPoint: path,
    environment,
    slots: new Slots(tasks),
    backoffSeconds: 0.01,
    graceSeconds: patienceSeconds,
  };
}

const nothing: StageFunction = async () => ({ models: [], started: 0 });

export interface Bed {
  readonly store: ObjectStore;
  readonly workflow: LocalWorkflow;
  readonly run: (input?: Record<string, unknown>) => Promise<{ execution: Execution; events: readonly HistoryEvent[] }>;
}

/** A workflow over a store in memory. `$` also holds the `shards` of a Map, written by `Begin`. */
export function bedOf(
  workflow: Workflow,
  options: { collect?: StageFunction; host?: TaskHost; store?: ObjectStore } = {},
): Bed {
  const { collect = nothing, host = hostOf('/nothing/here.mjs'), store = new MemoryObjectStore() } = options;
  const stages: readonly FunctionStage[] = ['ingest', 'lease', 'plan', 'judge', 'publish', 'collect', 'notify'];
  const functions = Object.fromEntries(stages.map((stage) => [stage, collect])) as Record<FunctionStage, StageFunction>;
  const local = new LocalWorkflow({ store, workflow, host, functions: () => functions });
  const input: ExecutionInput = { trigger: 'run', objectKey: '', modelId: 'tiny' };
  const run = async () => {
    const execution = await local.execute(input);
    await execution.ended;
    return { execution, events: await readHistory(store, execution.name) };
  };
  return { store, workflow: local, run };
}

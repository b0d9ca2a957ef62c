/** @file `hookline up` over a store whose replies are lost, told to start executions on its standard input. */

import { createInterface } from 'node:readline';
import { LocalWorkflow, loadWorkflow, reapExecutions, Slots, startSources } from '../../src/local/index.js';
import { DirectoryObjectStore } from '../../src/registry/directory-object-store.js';
import { environmentNames, stageFunctions } from '../../src/workflow/index.js';
import { uniform } from '../support/random-matrix.js';
import { withChaos } from './chaos-store.js';
import { type Command, type Message, noticePrefix, type RunnerOptions, taskVariables } from './messages.js';

const options = JSON.parse(process.argv[2]) as RunnerOptions;
const { storeFolder, cacheFolder, workflowPath, taskProgram, seed, rates, tasks, hasJumpingClock } = options;

const tell = (message: Message) => process.stdout.write(`${JSON.stringify(message)}\n`);
const warn = (error: unknown) =>
  tell({ kind: 'warning', text: error instanceof Error ? error.message : String(error) });

const drawn = uniform(seed + 1);
const monthMilliseconds = 30 * 24 * 3600 * 1000;
const now = () => new Date(Date.now() + (hasJumpingClock ? Math.trunc((drawn() - 0.5) * monthMilliseconds) : 0));
const directory = new DirectoryObjectStore(storeFolder, { settleSeconds: 0.05 });
const store = withChaos(directory, rates, uniform(seed), ({ kind, key }) => tell({ kind, key }));
const workflow = new LocalWorkflow({
  store,
  workflow: await loadWorkflow(workflowPath),
  functions: (executions) => stageFunctions({ store, executions, now }),
  now,
  host: {
    entryPoint: taskProgram,
    environment: {
      [environmentNames.store]: storeFolder,
      [environmentNames.cache]: cacheFolder,
      [environmentNames.device]: 'cpu',
      [taskVariables.seed]: String(seed),
      [taskVariables.rates]: JSON.stringify(rates),
    },
    slots: new Slots(tasks),
    backoffSeconds: 0.1,
    graceSeconds: 5,
  },
  listener: {
    onEvent: ({ type, state, stateType }, { name }) => {
      if (state === undefined || (stateType !== 'Task' && stateType !== 'Map')) return;
      const isTask = stateType === 'Map' || ['Solve', 'MergeStatistics'].includes(state);
      if (type === 'StateEntered') tell({ kind: 'entered', execution: name, state, isTask });
      if (type === 'StateExited' || type === 'StateFailed') tell({ kind: 'left', execution: name, state, isTask });
    },
    onNotice: (message) => {
      if (message.startsWith(noticePrefix)) process.stdout.write(`${message.slice(noticePrefix.length)}\n`);
    },
  },
});

const collect = () => workflow.collect({ trigger: 'schedule', modelId: '' }).catch(warn);
await reapExecutions(directory);
const sources = await startSources(workflow, {
  store: directory,
  schedule: undefined,
  onProblem: (text) => tell({ kind: 'warning', text }),
  scanSeconds: 0.05,
});

let isStopping = false;
async function stop(): Promise<void> {
  if (isStopping) return;
  isStopping = true;
  await sources.close();
  await workflow.stop();
  process.exit(0);
}
process.on('SIGTERM', stop);

const commands = createInterface({ input: process.stdin });
commands.on('line', (line) => {
  const { event, collect: isCollect } = JSON.parse(line) as Command;
  if (isCollect) collect();
  if (event !== undefined) workflow.start({ trigger: 'drop', objectKey: event, modelId: '' }).catch(warn);
});
// The driver is gone.
commands.on('close', stop);
tell({ kind: 'ready' });

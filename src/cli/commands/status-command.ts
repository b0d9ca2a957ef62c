import { Command, Option } from 'commander';
import type { ModelStatus } from '../../local/index.js';

import { storeOption, wholeNumber } from '../options/model-options.js';
import { addExamples, addOptions } from '../terminal/frame-command.js';
import { type Cell, createTerminal, type OutputOptions } from '../terminal/terminal.js';
import type { AwsExecution } from './aws-executions.js';

interface StatusOptions extends OutputOptions {
  readonly store: string;
  readonly stateMachine?: string;
  readonly limit: number;
}

export const stateMachineOption = (): Option =>
  new Option('--state-machine <arn>', 'the deployed state machine').env('HOOKLINE_STATE_MACHINE');

/** `hookline status`: shows the state of models, or the executions of a deployed state machine. */
export function statusCommand(): Command {
  const command = new Command('status')
    .description('Show where the models of a store stand, or the newest executions of a deployed state machine')
    .action(status);
  addOptions(command, [
    storeOption(),
    stateMachineOption(),
    new Option('--limit <n>', 'newest executions to show')
      .default(20)
      .argParser(wholeNumber('--limit', { min: 1, max: 1000 })),
  ]);
  return addExamples(command, [
    'hookline status',
    'hookline status --store s3://my-bucket --json',
    'hookline status --state-machine arn:aws:states:eu-west-1:123456789012:stateMachine:hookline',
  ]);
}

async function status({ store: location, stateMachine, limit, ...output }: StatusOptions): Promise<void> {
  const terminal = createTerminal(output);
  if (stateMachine !== undefined) {
    const { listAwsExecutions } = await import('./aws-executions.js');
    const executions = await listAwsExecutions(stateMachine, limit);
    terminal.json({ stateMachine, executions });
    if (executions.length === 0) terminal.print('no execution yet');
    else terminal.table(['execution', 'started', 'ended', 'status', 'error', 'cause'], executions.map(executionRow));
    return;
  }
  const { readModelStatus } = await import('../../local/index.js');
  const { registeredModels } = await import('../../workflow/index.js');
  const { openExistingStore } = await import('../options/open-versions.js');
  const store = openExistingStore(location);
  const models: ModelStatus[] = [];
  for (const modelId of await registeredModels(store)) models.push(await readModelStatus(store, modelId));
  terminal.json({ store: location, models });
  if (models.length === 0) terminal.print(`no model is registered in ${location}`);
  else
    terminal.table(
      ['model', 'latest', 'in inbox', 'pending', 'quarantined', 'round in work', 'held by'],
      models.map(modelRow),
    );
  for (const { key, state, reason } of models.flatMap(({ held }) => held)) {
    terminal.print(`${key}: ${state}: ${reason}`);
  }
}

const modelRow = (model: ModelStatus): Cell[] => [
  model.modelId,
  model.latest,
  model.waiting,
  model.pending,
  model.failed,
  model.roundId,
  model.heldBy,
];

const executionRow = (execution: AwsExecution): Cell[] => [
  execution.name,
  execution.startedAt.slice(0, 19).replace('T', ' '),
  execution.endedAt?.slice(0, 19).replace('T', ' '),
  execution.status,
  execution.error,
  execution.cause?.replace(/\s+/g, ' ').slice(0, 100),
];

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Command, Option } from 'commander';
import { InvalidInputError } from '../../errors.js';
import type { Execution, ExecutionResult } from '../../local/index.js';
import { modelIdOption } from '../options/model-options.js';
import {
  collectModel,
  type NamedModel,
  parseInterval,
  type RegistrationOptions,
  registrationOptions,
  type WorkflowOptions,
  workflowOptions,
} from '../options/workflow-options.js';
import { printReportPlace } from '../tables/round-tables.js';
import { addExamples, addOptions } from '../terminal/frame-command.js';
import { createTerminal, type Terminal } from '../terminal/terminal.js';
import { asJson } from './executions-command.js';
import type { OpenWorkflow } from './open-workflow.js';

interface UpOptions extends WorkflowOptions, RegistrationOptions {
  readonly model?: readonly NamedModel[];
  readonly modelId?: string;
  /** In seconds; undefined runs batches at once. */
  readonly schedule?: number;
}

/** `hookline up`: runs the workflow until it is stopped. */
export function upCommand(): Command {
  const command = new Command('up')
    .description('Run the workflow on this machine: edits every batch that is dropped into <store>/incoming/<model>/')
    .action(up);
  addOptions(command, [
    new Option('--model <dir>', 'a model to register, as <dir> or <id>=<dir>; may be given again').argParser(
      collectModel,
    ),
    modelIdOption(),
    new Option('--schedule <interval>', 'collect what was dropped at this interval (30s, 5m, 2h) instead of at once')
      .default(undefined, 'off')
      .argParser(parseInterval),
    ...workflowOptions(),
    ...registrationOptions(),
  ]);
  addExamples(command, [
    'hookline up --model ./SmolLM2-135M-Instruct --corpus wikipedia.txt --held-out news.txt',
    'hookline up --model small=./SmolLM2-135M-Instruct --model large=./Qwen3-0.6B --corpus wikipedia.txt --tasks 2',
    'hookline up --store ./hookline-store --schedule 5m',
  ]);
  return command.addHelpText(
    'after',
    '\nCtrl-C ends it in order: what is not published stays pending, and the next `hookline up` goes on with it.',
  );
}

async function up(options: UpOptions): Promise<void> {
  const { startSources } = await import('../../local/index.js');
  const { openWorkflow, storeLocation } = await import('./open-workflow.js');
  const { workflowProgress } = await import('../terminal/workflow-progress.js');
  const { registeredModels } = await import('../../workflow/index.js');
  const { onStop } = await import('../terminal/stop-signals.js');
  const terminal = createTerminal(options);
  const location = storeLocation(options.store);
  const isFolder = !location.startsWith('s3:');
  if (!isFolder && options.schedule === undefined) {
    throw new InvalidInputError('--schedule', 'an interval, since only a folder can be watched', 'off');
  }
  const ended: unknown[] = [];
  const onEnd = (result: ExecutionResult, execution: Execution) => {
    const { id: executionId, name, input, startedAt } = execution;
    ended.push(asJson({ executionId, name, input, startedAt, result }));
    printEnd(terminal, options.store, result, execution);
  };
  const opened = await openWorkflow(options, { ...workflowProgress(terminal, { showsModel: true }), onEnd });
  const { store, workflow } = opened;
  await registerAll(terminal, opened, options);
  const ids = await registeredModels(store);
  const places = ids.map((id) => `${options.store.replace(/\/$/, '')}/incoming/${id}`);
  if (isFolder) for (const id of ids) await mkdir(join(location, 'incoming', id), { recursive: true });
  terminal.note(ids.length === 0 ? 'no model is registered (--model <dir>)' : `drop edits into ${places.join(' or ')}`);
  const onProblem = (message: string) => terminal.warn(message);
  const sources = await startSources(workflow, { store, schedule: options.schedule, onProblem });
  const stop = onStop(async () => {
    terminal.note('stopping; what is not published stays pending');
    await sources.close();
    await workflow.stop();
  });
  await stop.stopped;
  stop.dispose();
  terminal.json({ store: options.store, executions: ended });
}

async function registerAll(terminal: Terminal, { store }: OpenWorkflow, options: UpOptions): Promise<void> {
  const { register } = await import('./prepare-model.js');
  const { modelIdFrom } = await import('../../registry/index.js');
  const { modelFolderName } = await import('../options/model-options.js');
  const models = options.model ?? [];
  if (options.modelId !== undefined && models.length !== 1) {
    throw new InvalidInputError('--model-id', 'one --model (several are named as <id>=<dir>)', `${models.length}`);
  }
  for (const { directory, modelId = options.modelId } of models) {
    await register(terminal, {
      store,
      modelId: modelId ?? modelIdFrom(modelFolderName(directory)),
      directory,
      options,
    });
  }
}

function printEnd(terminal: Terminal, location: string, result: ExecutionResult, execution: Execution): void {
  const { note, status, error, cause } = result;
  if (status === 'ABORTED' || note?.outcome === 'NOTHING' || note?.outcome === 'PENDING') return;
  if (note === null) {
    terminal.print(`${execution.name}: ${status}: ${error}: ${cause}`);
    return;
  }
  const message = note.message.split('\n')[0];
  terminal.print(
    `${note.subject}. ${note.outcome === 'PUBLISHED' ? message : `${message} (hookline execution ${execution.name})`}`,
  );
  if (note.version > 0) printReportPlace(terminal, { ...note, store: location });
}

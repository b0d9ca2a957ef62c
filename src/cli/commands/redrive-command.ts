import { Command } from 'commander';
import { InvalidInputError } from '../../errors.js';
import type { ObjectStore } from '../../registry/index.js';
import { modelIdOption } from '../options/model-options.js';
import { type WorkflowOptions, workflowOptions } from '../options/workflow-options.js';
import { addExamples, addOptions } from '../terminal/frame-command.js';
import { createTerminal, type Terminal } from '../terminal/terminal.js';
import { stateMachineOption } from './status-command.js';

interface RedriveOptions extends WorkflowOptions {
  readonly modelId?: string;
  readonly stateMachine?: string;
}

/** `hookline redrive`: retries what failed. */
export function redriveCommand(): Command {
  const command = new Command('redrive')
    .description('Try again what failed: quarantined rounds, or from its failed state one execution on AWS')
    .argument('[execution]', 'ARN of a failed execution on AWS')
    .action(redrive);
  addOptions(command, [modelIdOption(), stateMachineOption(), ...workflowOptions()]);
  return addExamples(command, [
    'hookline redrive --store ./hookline-store',
    'hookline redrive --store s3://my-bucket --state-machine arn:aws:states:eu-west-1:123456789012:stateMachine:hookline',
    'hookline redrive arn:aws:states:eu-west-1:123456789012:execution:hookline:4f1c22ab',
  ]);
}

async function redrive(execution: string | undefined, options: RedriveOptions): Promise<void> {
  const terminal = createTerminal(options);
  if (execution !== undefined) {
    const { redriveAwsExecution } = await import('./aws-executions.js');
    const redrivenAt = await redriveAwsExecution(execution);
    terminal.json({ execution, redrivenAt });
    terminal.print(`${execution} goes on where it failed`);
    return;
  }
  const { redriveFailed, registeredModels } = await import('../../workflow/index.js');
  const { openExistingStore } = await import('../options/open-versions.js');
  const { registeredModel } = await import('./prepare-model.js');
  // Checked before any batch is moved.
  if (options.store.startsWith('s3:') && options.stateMachine === undefined) {
    throw new InvalidInputError('--state-machine', 'the ARN of the one that is to go on', 'nothing');
  }
  const store = openExistingStore(options.store);
  const known = await registeredModels(store);
  const ids = options.modelId === undefined ? known : [registeredModel(known, options)];
  const models: { readonly modelId: string; readonly units: number }[] = [];
  for (const modelId of ids) models.push({ modelId, units: await redriveFailed(store, modelId) });
  const moved = models.filter(({ units }) => units > 0);
  const movedIds = moved.map(({ modelId }) => modelId);
  terminal.json({ models });
  if (moved.length === 0) terminal.print('nothing is quarantined');
  for (const { modelId, units } of moved) terminal.print(`${modelId}: ${units} quarantined, now pending again`);
  if (moved.length > 0) await startAgain(terminal, store, movedIds, options);
}

async function startAgain(
  terminal: Terminal,
  store: ObjectStore,
  modelIds: readonly string[],
  options: RedriveOptions,
): Promise<void> {
  if (options.stateMachine !== undefined) {
    const { startAwsExecution } = await import('./aws-executions.js');
    for (const modelId of modelIds) {
      const started = await startAwsExecution(options.stateMachine, { trigger: 'run', objectKey: '', modelId });
      terminal.note(`started ${started}`);
    }
    return;
  }
  const { openWorkflow } = await import('./open-workflow.js');
  const { workflowProgress } = await import('../terminal/workflow-progress.js');
  const { readModelStatus } = await import('../../local/index.js');
  const { RoundsQuarantinedError } = await import('../../errors.js');
  const { workflow } = await openWorkflow(options, workflowProgress(terminal, { showsModel: true }));
  for (const modelId of modelIds) await workflow.start({ trigger: 'run', objectKey: '', modelId });
  await workflow.idle();
  for (const modelId of modelIds) {
    const { failed, latest } = await readModelStatus(store, modelId);
    if (failed > 0) throw new RoundsQuarantinedError(modelId, failed);
    terminal.print(`${modelId}: version ${latest ?? 'none'}`);
  }
}

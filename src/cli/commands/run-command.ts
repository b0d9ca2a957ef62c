import { Command, Option } from 'commander';
import { modelIdOption, modelOption } from '../options/model-options.js';
import {
  type RegistrationOptions,
  registrationOptions,
  type WorkflowOptions,
  workflowOptions,
} from '../options/workflow-options.js';
import { addExamples, addOptions } from '../terminal/frame-command.js';
import { createTerminal } from '../terminal/terminal.js';

interface RunOptions extends WorkflowOptions, RegistrationOptions {
  readonly batch: readonly string[];
  readonly model?: string;
  readonly modelId?: string;
}

/** `hookline run`: runs the workflow on files until none of them is pending. */
export function runCommand(): Command {
  const command = new Command('run')
    .description('Run the workflow on this machine for batch files, one after the other, until nothing is pending')
    .action(run);
  addOptions(command, [
    new Option('--batch <files...>', 'edits: our JSONL, CounterFact or zsRE').makeOptionMandatory(),
    modelOption(false),
    modelIdOption(),
    ...workflowOptions(),
    ...registrationOptions(),
  ]);
  addExamples(command, [
    'hookline run --batch edits.jsonl --model ./SmolLM2-135M-Instruct --corpus wikipedia.txt --held-out news.txt',
    'hookline run --batch monday.jsonl tuesday.jsonl --round-size 20 --model ./my-model',
    'hookline run --batch edits.jsonl --store ./hookline-store --model-id my-model --json',
  ]);
  return command.addHelpText(
    'after',
    '\n--model registers the model; afterwards --model-id, or the only one there, is enough.\nA store in S3 gets the model itself, too.',
  );
}

async function run(options: RunOptions): Promise<void> {
  const { requireReadable } = await import('../../local/index.js');
  const { prepareModel } = await import('./prepare-model.js');
  const { runBatches } = await import('./run-batches.js');
  const terminal = createTerminal(options);
  await requireReadable(options.batch);
  const modelId = await prepareModel(terminal, options);
  await runBatches(terminal, { modelId, paths: options.batch, options });
}

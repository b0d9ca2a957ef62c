/** @file Commands that make a model directory, from a GGUF file or from the Hugging Face hub. */
import { Command, Option } from 'commander';
import type { ImportDtype } from '../../model/index.js';
import { weightDtypes } from '../options/model-options.js';
import { addExamples } from '../terminal/frame-command.js';
import type { ProgressBar } from '../terminal/progress.js';
import { createTerminal, type OutputOptions } from '../terminal/terminal.js';

interface ImportCommandOptions extends OutputOptions {
  readonly dtype: ImportDtype;
}

/** `hookline model import`: a GGUF file becomes a model directory. */
export function modelImportCommand(): Command {
  const command = new Command('import')
    .description('Turn a GGUF file into a Hugging Face model directory')
    .argument('<file.gguf>', 'the GGUF file')
    .argument('<dir>', 'the directory to write; it must not exist')
    .addOption(new Option('--dtype <type>', 'storage type of the weights').choices(weightDtypes).default('float32'))
    .action(importFile);
  return addExamples(command, [
    'hookline model import ./smollm2-135m-instruct-q4_1.gguf ./smollm2',
    'hookline model import ./model.gguf ./model --dtype bfloat16',
  ]);
}

async function importFile(file: string, directory: string, options: ImportCommandOptions): Promise<void> {
  const { importGguf } = await import('../../model/index.js');
  const terminal = createTerminal(options);
  let bar: ProgressBar | undefined;
  await importGguf(file, directory, {
    dtype: options.dtype,
    onProgress: (done, total, unit) => {
      bar ??= terminal.progress('importing', total, unit);
      bar.update(done);
    },
  });
  bar?.finish();
  terminal.json({ directory, dtype: options.dtype });
  terminal.print(`imported ${file} to ${directory} as ${options.dtype}`);
  terminal.note(`next: hookline model info ${directory}`);
}

interface PullOptions extends OutputOptions {
  readonly revision: string;
  readonly hubUrl: string;
}

const defaultHubUrl = 'https://huggingface.co';

/** `hookline model pull`: a model of the Hugging Face hub becomes a model directory. */
export function modelPullCommand(): Command {
  const command = new Command('pull')
    .description('Download a model of the Hugging Face hub: config, tokenizer and safetensors only')
    .argument('<hub id>', 'such as HuggingFaceTB/SmolLM2-135M-Instruct')
    .argument('[dir]', "where to (default: a folder of the model's name)")
    .option('--revision <name>', 'branch, tag or commit', 'main')
    .addOption(new Option('--hub-url <url>', 'address of the hub').env('HF_ENDPOINT').default(defaultHubUrl))
    .action(pullModel);
  addExamples(command, [
    'hookline model pull HuggingFaceTB/SmolLM2-135M-Instruct',
    'hookline model pull EleutherAI/pythia-160m ./models/pythia-160m --revision step143000',
  ]);
  return command.addHelpText(
    'after',
    '\nA download that broke off goes on where it was. HF_TOKEN opens private and gated models.',
  );
}

async function pullModel(hubId: string, directory: string | undefined, options: PullOptions): Promise<void> {
  const { downloadHubModel } = await import('../../model/index.js');
  const terminal = createTerminal(options);
  const target = directory ?? `./${hubId.split('/').at(-1)}`;
  let bar: ProgressBar | undefined;
  const { commit, files, sizeBytes } = await downloadHubModel(hubId, target, {
    revision: options.revision,
    hubUrl: options.hubUrl || defaultHubUrl,
    accessToken: process.env.HF_TOKEN,
    onProgress: ({ doneBytes, totalBytes, file }) => {
      bar ??= terminal.progress('pulling', totalBytes, 'bytes');
      bar.update(doneBytes, file);
    },
  });
  bar?.finish();
  terminal.json({ hubId, commit, directory: target, files, sizeBytes });
  terminal.print(`${hubId} at ${commit.slice(0, 12)} is in ${target}: ${files.length} files`);
  terminal.note(`next: hookline model info ${target}`);
}

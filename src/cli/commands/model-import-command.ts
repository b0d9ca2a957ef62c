import { Command, Option } from 'commander';
import type { ImportDtype } from '../../model/index.js';
import { addExamples } from '../terminal/frame-command.js';
import type { Progress } from '../terminal/progress.js';
import { createTerminal, type OutputOptions } from '../terminal/terminal.js';

interface ImportCommandOptions extends OutputOptions {
  readonly dtype: ImportDtype;
}

const dtypes: readonly ImportDtype[] = ['float32', 'float16', 'bfloat16'];

/** `hookline model import`: a GGUF file becomes a model directory. */
export function modelImportCommand(): Command {
  const command = new Command('import')
    .description('Turn a GGUF file into a Hugging Face model directory')
    .argument('<file.gguf>', 'the GGUF file')
    .argument('<dir>', 'the directory to write; it must not exist')
    .addOption(new Option('--dtype <type>', 'storage type of the weights').choices(dtypes).default('float32'))
    .action(importFile);
  return addExamples(command, [
    'hookline model import ./smollm2-135m-instruct-q4_1.gguf ./smollm2',
    'hookline model import ./model.gguf ./model --dtype bfloat16',
  ]);
}

async function importFile(file: string, directory: string, options: ImportCommandOptions): Promise<void> {
  const { importGguf } = await import('../../model/index.js');
  const terminal = createTerminal(options);
  let bar: Progress | undefined;
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

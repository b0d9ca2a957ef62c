import { Command } from 'commander';
import { addExamples } from '../terminal/frame-command.js';
import { modelImportCommand, modelPullCommand } from './model-fetch-commands.js';
import { modelInfoCommand } from './model-info-command.js';
import { modelRegisterCommand } from './model-register-command.js';

/** `hookline model`: model directories. */
export function modelCommand(): Command {
  const command = new Command('model')
    .description('Download, import, register and look at model directories')
    .helpCommand(false)
    .addCommand(modelInfoCommand())
    .addCommand(modelPullCommand())
    .addCommand(modelImportCommand())
    .addCommand(modelRegisterCommand());
  return addExamples(command, [
    'hookline model info ./SmolLM2-135M-Instruct',
    'hookline model pull HuggingFaceTB/SmolLM2-135M-Instruct',
    'hookline model import ./model.gguf ./model',
  ]);
}

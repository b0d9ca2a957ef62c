import { Command } from 'commander';
import { addExamples } from '../terminal/frame-command.js';
import { exportLoraCommand } from './export-lora-command.js';
import { exportMergedCommand } from './export-merged-command.js';
import { exportOnnxCommand } from './export-onnx-command.js';

/** `hookline export`: a version for those who serve models otherwise. */
export function exportCommand(): Command {
  const command = new Command('export')
    .description('Write a version for other servers: a patched ONNX decoder, a LoRA adapter, merged weights')
    .helpCommand(false)
    .addCommand(exportOnnxCommand())
    .addCommand(exportLoraCommand())
    .addCommand(exportMergedCommand());
  return addExamples(command, [
    'hookline export onnx ./decoder/model.onnx ./decoder/model-edited.onnx --model ./SmolLM2-135M-Instruct',
    'hookline export lora ./adapter --model ./SmolLM2-135M-Instruct --rank 32',
    'hookline export merged ./merged --model ./SmolLM2-135M-Instruct',
  ]);
}

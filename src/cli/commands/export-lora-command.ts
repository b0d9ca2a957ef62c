import { join } from 'node:path';
import { Command, Option } from 'commander';
import type { WeightDtype } from '../../serving/index.js';
import { wholeNumber } from '../options/model-options.js';
import { percentAsText } from '../tables/metric.js';
import { addExamples, addOptions } from '../terminal/frame-command.js';
import { type ExportOptions, exportOptions, runExport } from './export-version.js';

interface ExportLoraOptions extends ExportOptions {
  readonly rank?: number;
  readonly dtype: WeightDtype;
  readonly baseModel?: string;
}

const dtypes: readonly WeightDtype[] = ['float32', 'float16', 'bfloat16'];

/** `hookline export lora`: the weight change as an adapter, ungated. */
export function exportLoraCommand(): Command {
  const command = new Command('lora')
    .description('Write the weight change as a LoRA adapter for PEFT and vLLM. Ungated: it acts on every token')
    .argument('<folder>', "the adapter's folder, new or empty")
    .action(exportLora);
  addOptions(command, [
    ...exportOptions(),
    new Option('--rank <n>', 'singular values to keep (default: all, which is exact)').argParser(
      wholeNumber('--rank', { min: 1 }),
    ),
    new Option('--dtype <name>', "type of the adapter's weights").choices(dtypes).default('float32'),
    new Option('--base-model <name>', "base model that the adapter's config names (default: the model id)"),
  ]);
  return addExamples(command, [
    'hookline export lora ./adapter --model ./SmolLM2-135M-Instruct',
    'hookline export lora ./adapter --model ./SmolLM2-135M-Instruct --rank 32 --dtype bfloat16',
  ]);
}

async function exportLora(folder: string, options: ExportLoraOptions): Promise<void> {
  const { exportLoraAdapter, HookableModel, readLoraHooks } = await import('../../serving/index.js');
  const { withGemmEngine } = await import('../../runtime/index.js');
  const { rank, dtype, baseModel } = options;
  await runExport(options, {
    kind: 'lora',
    isGated: false,
    write: ({ edited: { model }, ...version }) => {
      const wanted = { ...(rank !== undefined && { rank }), ...(baseModel !== undefined && { baseModel }) };
      return withGemmEngine((engine) => exportLoraAdapter({ model, version, folder, dtype, engine, ...wanted }));
    },
    recordPath: () => join(folder, 'hookline.json'),
    open: async ({ edited: { model } }) => {
      const hooks = await readLoraHooks(folder, model);
      const layers = hooks.map(({ layer }) => layer);
      const edited = await HookableModel.compile(model, { layers, gate: 'none' });
      return { edited, hooks, dispose: () => edited.dispose() };
    },
    print: (terminal, written) => {
      terminal.print(`wrote ${folder}: rank ${written.rank}, ${written.dtype}, ungated`);
      terminal.table(
        ['layer', 'rank', 'of', 'truncation error', 'rounding error'],
        written.layers.map((layer) => [
          ...[layer.layer, layer.rank, layer.exactRank],
          ...[percentAsText(layer.truncationError), percentAsText(layer.roundingError)],
        ]),
      );
    },
  });
}

import { join } from 'node:path';
import { Command } from 'commander';
import { percentAsText } from '../tables/metric.js';
import { addExamples, addOptions } from '../terminal/frame-command.js';
import { type ExportOptions, exportOptions, runExport } from './export-version.js';

/** `hookline export merged`: a model directory with the change in its weights, ungated. */
export function exportMergedCommand(): Command {
  const command = new Command('merged')
    .description('Write a model directory with the change merged into its weights. Ungated: it acts on every token')
    .argument('<folder>', 'the new model directory')
    .action(exportMerged);
  addOptions(command, exportOptions());
  return addExamples(command, ['hookline export merged ./merged --model ./SmolLM2-135M-Instruct']);
}

async function exportMerged(folder: string, options: ExportOptions): Promise<void> {
  const { ExportedModel, exportMergedWeights, HookableModel } = await import('../../serving/index.js');
  const { loadModel } = await import('../../model/index.js');
  const { withGemmEngine } = await import('../../runtime/index.js');
  await runExport(options, {
    kind: 'merged',
    isGated: false,
    write: ({ edited: { model }, ...version }) =>
      withGemmEngine((engine) => exportMergedWeights({ model, version, folder, engine })),
    recordPath: () => join(folder, 'hookline.json'),
    open: async ({ edited }) => {
      const merged = await HookableModel.compile(await loadModel(folder), { layers: [], gate: 'none' });
      const exported = new ExportedModel(edited, merged);
      return {
        ...{ edited: exported, hooks: [] },
        dispose: async () => {
          await Promise.all([exported.dispose(), merged.dispose()]);
        },
      };
    },
    print: (terminal, { files, layers }) => {
      terminal.print(`wrote ${folder}: ${files.join(', ')}, ungated`);
      terminal.table(
        ['layer', 'tensor', 'type', '|dW|/|W|', 'rounding error'],
        layers.map((layer) => [
          ...[layer.layer, layer.tensor, layer.dtype],
          ...[percentAsText(layer.relativeChange), percentAsText(layer.roundingError)],
        ]),
      );
    },
  });
}

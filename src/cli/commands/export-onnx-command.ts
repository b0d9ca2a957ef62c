import { Command, Option } from 'commander';
import { addExamples, addOptions } from '../terminal/frame-command.js';
import { type ExportOptions, exportOptions, runExport } from './export-version.js';

interface ExportOnnxOptions extends ExportOptions {
  readonly signals?: boolean;
}

/** `hookline export onnx`: the gated hooks in a decoder that somebody exported. */
export function exportOnnxCommand(): Command {
  const command = new Command('onnx')
    .description(
      'Put the gated hooks into an exported ONNX decoder: whoever runs it with ONNX Runtime serves the edited model',
    )
    .argument('<decoder>', 'the decoder as it was exported from the model, such as by optimum; it is not changed')
    .argument('<output>', 'the patched file; best beside the decoder')
    .action(exportOnnx);
  addOptions(command, [
    ...exportOptions(),
    new Option('--signals', 'add outputs that say which gates opened, how strongly, and by which edit'),
  ]);
  return addExamples(command, [
    'hookline export onnx ./decoder/model.onnx ./decoder/model-edited.onnx --model ./SmolLM2-135M-Instruct',
  ]);
}

async function exportOnnx(onnxPath: string, outputPath: string, options: ExportOnnxOptions): Promise<void> {
  const { ExportedModel, exportPatchedOnnx, OnnxDecoder } = await import('../../serving/index.js');
  const { signals = false } = options;
  await runExport(options, {
    kind: 'onnx',
    isGated: true,
    write: ({ edited: { model }, ...version }) => exportPatchedOnnx({ model, version, onnxPath, outputPath, signals }),
    recordPath: ({ files }) => `${files[0]}.hookline.json`,
    open: async ({ edited }, { files }) => {
      const decoder = await OnnxDecoder.open(files[0]);
      const exported = new ExportedModel(edited, decoder);
      return {
        ...{ edited: exported, hooks: [] },
        dispose: async () => {
          await Promise.all([exported.dispose(), decoder.dispose()]);
        },
      };
    },
    print: (terminal, { layers, opset, files }) => {
      terminal.print(`wrote ${files[0]}: operator set ${opset}, gated by keys`);
      terminal.table(
        ['layer', 'down-projection', 'weight', 'type', 'edits'],
        layers.map(({ layer, node, weight, dtype, edits }) => [layer, node, weight, dtype, edits]),
      );
    },
  });
}

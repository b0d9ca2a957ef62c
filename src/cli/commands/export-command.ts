import { join } from 'node:path';
import { Command, Option } from 'commander';
import type { ExportedModel, WeightDtype } from '../../serving/index.js';
import { weightDtypes, wholeNumber } from '../options/model-options.js';
import { percentAsText } from '../tables/metric.js';
import { addExamples, addOptions } from '../terminal/frame-command.js';
import { type ExportOptions, exportOptions, runExport } from './export-version.js';

/** `hookline export`: writes a version for use in other serving software. */
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

interface ExportOnnxOptions extends ExportOptions {
  readonly signals?: boolean;
}

/** `hookline export onnx`: adds the gated hooks to an ONNX decoder that was exported before. */
function exportOnnxCommand(): Command {
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
      return readBack(exported, decoder);
    },
    print: (terminal, { layers, opset, files }) => {
      terminal.print(`wrote ${files[0]}: operator set ${opset}, gated by keys`);
      terminal.table(
        ['layer', 'down-projection', 'weight', 'type', 'rows'],
        layers.map(({ layer, node, weight, dtype, rows }) => [layer, node, weight, dtype, rows]),
      );
    },
  });
}

interface ExportLoraOptions extends ExportOptions {
  readonly rank?: number;
  readonly dtype: WeightDtype;
  readonly baseModel?: string;
}

/** `hookline export lora`: the weight change as an adapter, ungated. */
function exportLoraCommand(): Command {
  const command = new Command('lora')
    .description('Write the weight change as a LoRA adapter for PEFT and vLLM. Ungated: it acts on every token')
    .argument('<folder>', "the adapter's folder, new or empty")
    .action(exportLora);
  addOptions(command, [
    ...exportOptions(),
    new Option('--rank <n>', 'singular values to keep (default: all, which is exact)').argParser(
      wholeNumber('--rank', { min: 1 }),
    ),
    new Option('--dtype <name>', "type of the adapter's weights").choices(weightDtypes).default('float32'),
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
        written.layers.map(({ layer, rank: kept, exactRank, truncationError, roundingError }) => [
          layer,
          kept,
          exactRank,
          percentAsText(truncationError),
          percentAsText(roundingError),
        ]),
      );
    },
  });
}

/** `hookline export merged`: a model directory with the change in its weights, ungated. */
function exportMergedCommand(): Command {
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
      return readBack(exported, merged);
    },
    print: (terminal, { files, layers }) => {
      terminal.print(`wrote ${folder}: ${files.join(', ')}, ungated`);
      terminal.table(
        ['layer', 'tensor', 'type', '|dW|/|W|', 'rounding error'],
        layers.map(({ layer, tensor, dtype, relativeChange, roundingError }) => [
          layer,
          tensor,
          dtype,
          percentAsText(relativeChange),
          percentAsText(roundingError),
        ]),
      );
    },
  });
}

/** Wraps an export that takes no hooks, so that disposing of it also disposes of the model it was read with. */
function readBack(edited: ExportedModel, other: { dispose(): Promise<void> }) {
  const dispose = async () => {
    await Promise.all([edited.dispose(), other.dispose()]);
  };
  return { edited, hooks: [], dispose };
}

import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { Command } from 'commander';
import { InvalidInputError, PermanentError } from '../../errors.js';
import type { Model, ModelConfig, ModelStorage } from '../../model/index.js';
import { addExamples } from '../terminal/frame-command.js';
import { bytesAsText } from '../terminal/progress.js';
import { createTerminal, type OutputOptions, type Terminal } from '../terminal/terminal.js';

/** `hookline model info`: what a model directory holds, and whether it can be edited. */
export function modelInfoCommand(): Command {
  const command = new Command('info')
    .description('Show what a model directory holds, and whether it can be edited')
    .argument('<dir>', 'a Hugging Face model directory')
    .action(showModel);
  return addExamples(command, ['hookline model info ./SmolLM2-135M-Instruct', 'hookline model info ./model --json']);
}

async function showModel(directory: string, options: OutputOptions): Promise<void> {
  const terminal = createTerminal(options);
  await requireConfig(directory);
  const outcome = await openOrReason(directory, terminal);
  if ('reason' in outcome) {
    terminal.json({ directory, supported: false, reason: outcome.reason });
    terminal.print(`${directory} cannot be edited: ${outcome.reason}`);
    return;
  }
  const { modelStorage } = await import('../../model/index.js');
  const { model, vocabSize, modelDigest } = outcome;
  const { config } = model;
  const storage = modelStorage(model);
  terminal.json({ directory, supported: true, config, ...storage, modelDigest });
  terminal.print(terminal.colors.bold(`${directory} can be edited`));
  terminal.table(
    ['', ''],
    [...configRows(config), ['tokenizer', `${vocabSize} tokens`], ...storageRows(storage), ['digest', modelDigest]],
  );
}

async function requireConfig(directory: string): Promise<void> {
  const path = join(directory, 'config.json');
  await access(path).catch((cause: NodeJS.ErrnoException) => {
    throw new InvalidInputError(`model ${directory}`, 'a directory with a config.json', cause.code ?? 'an error', {
      cause,
    });
  });
}

type Outcome =
  | { readonly model: Model; readonly vocabSize: number; readonly modelDigest: string }
  | { readonly reason: string };

/** Opens a model and reads its weights, or returns why it cannot be edited. That is a valid result of this command, not a failure. */
async function openOrReason(directory: string, terminal: Terminal): Promise<Outcome> {
  const { modelDigest, modelStorage, openModel } = await import('../../model/index.js');
  try {
    const { model, tokenizer } = await openModel(directory);
    const bar = terminal.progress('reading', modelStorage(model).sizeBytes, 'bytes');
    try {
      return {
        model,
        vocabSize: tokenizer.vocabSize,
        modelDigest: await modelDigest(model, (done) => bar.update(done)),
      };
    } finally {
      bar.finish();
    }
  } catch (error) {
    if (error instanceof PermanentError) return { reason: error.message };
    throw error;
  }
}

function configRows(config: ModelConfig): [string, string | number][] {
  const { heads, keyValueHeads, dHead, rotary, slidingWindow } = config;
  return [
    ['architecture', config.modelType],
    ['layers', `${config.layers} (0 .. ${config.layers - 1})`],
    ['width', `${config.dModel}, inside the MLP ${config.dInner}`],
    ['attention', `${heads} heads of ${dHead}, ${keyValueHeads} for keys and values`],
    ['positions', rotary ? `rotary, base ${rotary.base}, scaling ${rotary.scaling?.kind ?? 'none'}` : 'learned'],
    ['longest sequence', `${config.maxTokens} tokens${slidingWindow ? `, window ${slidingWindow}` : ''}`],
    ['activation', config.activation],
    ['vocabulary', `${config.vocab}, output ${config.tiedEmbeddings ? 'tied to the embedding' : 'of its own'}`],
  ];
}

function storageRows({ parameters, sizeBytes, dtypes, files }: ModelStorage): [string, string | number][] {
  return [
    ['parameters', parameters >= 1e6 ? `${(parameters / 1e6).toFixed(1)} million` : parameters],
    ['weights', `${bytesAsText(sizeBytes)} of ${dtypes.join(', ')} in ${files} ${files === 1 ? 'file' : 'files'}`],
  ];
}

import { Command, Option } from 'commander';
import { modelFolderName, modelIdOption, storeOption, wholeNumber } from '../options/model-options.js';
import { namedValues } from '../options/setting-options.js';
import { type RegistrationOptions, registrationOptions } from '../options/workflow-options.js';
import { addExamples, addOptions } from '../terminal/frame-command.js';
import { createTerminal, type OutputOptions } from '../terminal/terminal.js';

interface RegisterOptions extends OutputOptions, RegistrationOptions {
  readonly store: string;
  readonly modelId?: string;
  readonly upload?: boolean;
  readonly valueShardSize?: number;
  readonly validationShardSize?: number;
  readonly statisticsShards?: number;
  readonly coalesce?: boolean;
  readonly require?: readonly string[];
}

const count = (name: string, description: string): Option =>
  new Option(`${name} <n>`, description).argParser(wholeNumber(name, { min: 1 }));

/** `hookline model register`: registers a model in a store, so that the workflow can edit it. */
export function modelRegisterCommand(): Command {
  const command = new Command('register')
    .description("Tell a store's workflow of a model: what to edit, by which settings, by which criteria to publish")
    .argument('<dir>', 'a Hugging Face model directory')
    .action(registerDirectory);
  addOptions(command, [
    storeOption(),
    modelIdOption(),
    ...registrationOptions(),
    new Option('--upload', "store the model's files too, as a store in S3 gets them anyway"),
    count('--value-shard-size', 'most edits of a task that optimises values'),
    count('--validation-shard-size', 'most edits of a task that validates'),
    count('--statistics-shards', 'tasks that share the corpus'),
    new Option('--coalesce', 'let pending edits of several batches share a round'),
    new Option(
      '--require <name=value...>',
      'criteria of publication: minReliability, minSaid, minLocality, minRetention, maxPerplexityRatio, editReliability, editLocality, editSaid, editInChat, maxRepeats, minKeptShare',
    ),
  ]);
  return addExamples(command, [
    'hookline model register ./SmolLM2-135M-Instruct --store s3://my-bucket --corpus wikipedia.txt --held-out news.txt',
    'hookline model register ./my-model --store s3://my-bucket --value-shard-size 25 --statistics-shards 4',
    'hookline model register ./my-model --require minReliability=0.95 editReliability=0.5 --json',
  ]);
}

async function registerDirectory(directory: string, options: RegisterOptions): Promise<void> {
  const { checkModelId, modelIdFrom, openStore } = await import('../../registry/index.js');
  const { register } = await import('./prepare-model.js');
  const { storeLocation } = await import('./open-workflow.js');
  const terminal = createTerminal(options);
  const { upload, valueShardSize, validationShardSize, statisticsShards, coalesce } = options;
  const modelId =
    options.modelId === undefined ? modelIdFrom(modelFolderName(directory)) : checkModelId(options.modelId);
  const registration = await register(terminal, {
    store: openStore(storeLocation(options.store)),
    modelId,
    directory,
    options,
    more: {
      ...(upload && { upload }),
      ...(valueShardSize !== undefined && { valueShardSize }),
      ...(validationShardSize !== undefined && { validationShardSize }),
      ...(statisticsShards !== undefined && { statistics: { shards: statisticsShards } }),
      ...(coalesce && { coalesce }),
      criteria: namedValues('--require', options.require ?? []),
    },
  });
  terminal.json(registration);
  const place =
    registration.source.kind === 'store'
      ? `${registration.source.files.length} files in the store`
      : registration.source.path;
  terminal.print(
    `model ${modelId} is registered: layers ${registration.settings.layers.join(', ')}, rounds of ${registration.roundSize}`,
  );
  terminal.print(`its files: ${place}`);
  terminal.print(`drop edits into ${options.store.replace(/\/$/, '')}/incoming/${modelId}/`);
}

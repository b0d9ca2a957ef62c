import { resolve } from 'node:path';
import { Option } from 'commander';
import { InvalidInputError } from '../../errors.js';
import type { VersionFolder, VersionFolderOptions } from '../../registry/index.js';
import type { Terminal } from '../terminal/terminal.js';
import { modelIdOption, type StoreOptions, storeOption, wholeNumber } from './model-options.js';

/** The options of every command that pulls versions into a folder. */
export interface FolderOptions extends StoreOptions {
  readonly out: string;
  readonly cache?: string;
  readonly keep: number;
  /** 64 hex digits. */
  readonly modelDigest?: string;
}

/** `--store`, `--model-id`, `--model`, `--model-digest`, `--out`, `--cache` and `--keep`. */
export const folderOptions = (): Option[] => [
  storeOption(),
  modelIdOption(),
  new Option('--model <dir>', 'the base model that will read it: versions for another one are refused'),
  new Option('--model-digest <sha256>', 'the same by its digest, as manifests name it (modelDigest)')
    .conflicts('model')
    .argParser(parseDigest),
  new Option('--out <dir>', 'the folder in which `current` leads to the version').default('./hookline-version'),
  new Option('--cache <dir>', 'a cache of contents to share with other folders (default: one in --out)'),
  new Option('--keep <n>', 'pulled versions that stay, the current one included')
    .default(3)
    .argParser(wholeNumber('--keep', { min: 2 })),
];

function parseDigest(text: string): string {
  if (/^[0-9a-f]{64}$/.test(text)) return text;
  throw new InvalidInputError('--model-digest', '64 hex digits', JSON.stringify(text));
}

/** Opens the version folder of `--out`. Without `--model-id` it uses the model whose versions the folder has. */
export async function openVersionFolder(
  options: FolderOptions,
  terminal: Terminal,
  onProgress?: VersionFolderOptions['onProgress'],
): Promise<{ readonly folder: VersionFolder; readonly modelId: string }> {
  const { folderModelId, VersionFolder } = await import('../../registry/index.js');
  const { openVersions } = await import('./open-versions.js');
  const held = options.modelId ?? (await folderModelId(options.out));
  const { store, modelId } = await openVersions({ ...options, ...(held !== undefined && { modelId: held }) });
  const modelDigest = await givenDigest(options, terminal);
  const folder = await VersionFolder.open({
    store,
    modelId,
    path: options.out,
    keep: options.keep,
    ...(options.cache !== undefined && { cacheFolder: resolve(options.cache) }),
    ...(modelDigest !== undefined && { modelDigest }),
    ...(onProgress && { onProgress }),
  });
  return { folder, modelId };
}

async function givenDigest({ model, modelDigest }: FolderOptions, terminal: Terminal): Promise<string | undefined> {
  if (model === undefined) return modelDigest;
  const { loadModel, modelDigest: digestOfModel } = await import('../../model/index.js');
  const loaded = await loadModel(model);
  terminal.note(`reading ${model} for its digest`);
  return digestOfModel(loaded);
}

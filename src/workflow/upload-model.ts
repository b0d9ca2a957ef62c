import { readdir, readFile, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { InvalidInputError } from '../errors.js';
import type { Model } from '../model/index.js';
import type { Listener } from '../progress.js';
import { checkObjectKey, digestOfFile, modelPrefix, type ObjectStore, putOnce } from '../registry/index.js';
import type { Registration } from './registration.js';

type StoreFiles = Extract<Registration['source'], { readonly kind: 'store' }>['files'];

/** Largest file that Node reads, and stores take, in one piece. */
const fileLimitBytes = 2 ** 31 - 1;

/**
 * Stores the model's weights and all JSON files beside them under `source/<sha256>/<name>`. One file is in memory at a time.
 * Files that are stored already are not sent again.
 *
 * @throws {InvalidInputError} if a file is too large for one object
 */
export async function uploadModel(
  store: ObjectStore,
  modelId: string,
  model: Model,
  { onProgress }: Listener = {},
): Promise<StoreFiles> {
  const names = await fileNames(model);
  const files: StoreFiles = [];
  for (const [i, name] of names.entries()) {
    onProgress?.({ stage: 'upload', done: i, total: names.length, unit: 'files', detail: name });
    files.push(await uploadFile(store, modelId, model.directory, name));
  }
  onProgress?.({ stage: 'upload', done: names.length, total: names.length, unit: 'files' });
  return files;
}

/** Names in the model's folder. Weights may be links to files of other names. */
async function fileNames({ directory, weights }: Model): Promise<string[]> {
  const names: string[] = [];
  for (const name of (await readdir(directory)).sort()) {
    const path = await realpath(join(directory, name));
    if (name.endsWith('.json') || weights.files.includes(path)) names.push(name);
  }
  return names;
}

async function uploadFile(
  store: ObjectStore,
  modelId: string,
  directory: string,
  name: string,
): Promise<StoreFiles[number]> {
  const path = join(directory, name);
  const { sha256, sizeBytes } = await digestOfFile(path);
  if (sizeBytes > fileLimitBytes) {
    throw new InvalidInputError(
      `model file ${path}`,
      'at most 2 GiB, to be one object (save the model anew in smaller shards)',
      `${(sizeBytes / 1024 ** 3).toFixed(1)} GiB`,
    );
  }
  const key = checkObjectKey(`${modelPrefix(modelId)}source/${sha256}/${name}`);
  if ((await store.head(key)) === undefined) await putOnce(store, key, await readFile(path));
  return { name, key, sizeBytes, sha256 };
}

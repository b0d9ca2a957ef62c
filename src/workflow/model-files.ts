/** @file The files of a registered model on this machine's disk, checked before anything is computed with them. */
import { randomUUID } from 'node:crypto';
import { mkdir, readdir, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { DigestMismatchError, InvalidInputError, MalformedFileError, PermanentError } from '../errors.js';
import { type OpenedModel, openModel } from '../model/index.js';
import type { Listener } from '../progress.js';
import { digestOf, type ObjectStore } from '../registry/index.js';
import { digestOfModel } from '../rounds/index.js';
import { areRecorded, recordFiles, unlessAbsent } from './file-record.js';
import type { Registration } from './registration.js';

/** The store that models come from, and the folder that their files are kept in. */
export interface ModelPlace {
  readonly store: ObjectStore;
  /** A folder on this machine's disk that stays when a task ends. */
  readonly cacheFolder: string;
  readonly listener: Listener;
  readonly signal?: AbortSignal | undefined;
}

type Registered = Pick<Registration, 'modelId' | 'modelDigest' | 'source'>;
/** A file of a model in the store. */
export type StoreFile = Extract<Registration['source'], { readonly kind: 'store' }>['files'][number];

/**
 * Opens the model of a registration. Its weights are read and compared with the registration's digest once. Later, files of
 * the same sizes and times count as the same.
 *
 * @throws {DigestMismatchError} if it is another model, or the store's copy of a file is damaged
 */
export async function openRegisteredModel(place: ModelPlace, registration: Registered): Promise<OpenedModel> {
  const directory = await materialise(place, registration);
  const opened = await openModel(directory);
  if (registration.source.kind === 'directory') await requireDigest(place, registration, opened);
  return opened;
}

/**
 * The folder with the model's files. A source of kind `directory` names it. A source of kind `store` is downloaded to
 * `<cacheFolder>/<modelDigest>/`, again if files there were changed.
 */
export async function materialise(place: ModelPlace, registration: Registered): Promise<string> {
  if (registration.source.kind === 'directory') return registration.source.path;
  const { files } = registration.source;
  for (const { name } of files) requireFileName(name);
  const folder = join(place.cacheFolder, registration.modelDigest);
  if (await isIntact(folder, registration.modelDigest, files)) return folder;
  await mkdir(place.cacheFolder, { recursive: true });
  await sweep(place.cacheFolder);
  const draft = join(place.cacheFolder, `${draftPrefix}${randomUUID()}`);
  try {
    await download(place, registration, files, draft);
    await putInPlace(draft, folder, place.cacheFolder, () => isIntact(folder, registration.modelDigest, files));
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
  return folder;
}

/** After so many tries, in each of which another task took the name, the task fails. */
const mostTries = 100;

/**
 * Moves the draft to its name. Other tasks on this machine may do the same at the same time. If one of them was first, its
 * files are used.
 */
async function putInPlace(
  draft: string,
  folder: string,
  cacheFolder: string,
  isThere: () => Promise<boolean>,
): Promise<void> {
  for (let tries = 1; ; tries++) {
    if (await isThere()) return;
    await moveAway(folder, cacheFolder);
    try {
      await rename(draft, folder);
      return;
    } catch (error) {
      if (!isTaken(error) || tries === mostTries) throw error;
    }
  }
}

const recordName = '.hookline-files.json';
const draftPrefix = '.draft-';

function isIntact(folder: string, modelDigest: string, files: readonly StoreFile[]): Promise<boolean> {
  const paths = files.map(({ name }) => join(folder, name));
  return areRecorded(join(folder, recordName), modelDigest, paths);
}

async function download(
  place: ModelPlace,
  registration: Registered,
  files: readonly StoreFile[],
  folder: string,
): Promise<void> {
  const { store, listener, signal } = place;
  const total = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  let done = 0;
  const report = (detail: string) => listener.onProgress?.({ stage: 'download', done, total, unit: 'bytes', detail });
  await mkdir(folder);
  for (const file of files) {
    report(file.name);
    signal?.throwIfAborted();
    const bytes = await fetchFile(store, file);
    await writeFile(join(folder, file.name), bytes, { flush: true });
    done += bytes.length;
    report(file.name);
  }
  requireSame(folder, registration, await digestOfDraft(folder, registration, listener));
  const paths = files.map(({ name }) => join(folder, name));
  await recordFiles(join(folder, recordName), registration.modelDigest, paths);
}

/** What is wrong with the files is said of the model: nobody knows the draft's name. */
async function digestOfDraft(folder: string, { modelId }: Registered, listener: Listener): Promise<string> {
  try {
    return await digestOfModel((await openModel(folder)).model, listener);
  } catch (error) {
    if (!(error instanceof PermanentError)) throw error;
    throw new PermanentError(error.message.replaceAll(folder, `model ${modelId} in the store`), { cause: error });
  }
}

/** The store's copy of a file. @throws {DigestMismatchError | MalformedFileError | NoSuchKeyError} if it is damaged or missing */
export async function fetchFile(store: ObjectStore, { key, sizeBytes, sha256 }: StoreFile): Promise<Uint8Array> {
  const { bytes } = await store.get(key);
  if (bytes.length !== sizeBytes) throw new MalformedFileError(key, `${sizeBytes} bytes`, `${bytes.length}`);
  const actual = digestOf(bytes);
  if (actual !== sha256) throw new DigestMismatchError(key, sha256, actual);
  return bytes;
}

/** Reads and compares all weights, unless it is recorded that these files are the registration's. */
async function requireDigest(place: ModelPlace, registration: Registered, { model }: OpenedModel): Promise<void> {
  const folder = join(place.cacheFolder, 'checked');
  const record = join(folder, `${digestOf(await realpath(model.directory))}.json`);
  const files = [join(model.directory, 'config.json'), ...model.weights.files];
  if (await areRecorded(record, registration.modelDigest, files)) return;
  requireSame(model.directory, registration, await digestOfModel(model, place.listener));
  await mkdir(folder, { recursive: true });
  await recordFiles(record, registration.modelDigest, files);
}

function requireSame(directory: string, registration: Registered, digest: string): void {
  if (digest !== registration.modelDigest) {
    throw new DigestMismatchError(`model ${registration.modelId} in ${directory}`, registration.modelDigest, digest);
  }
}

function requireFileName(name: string): void {
  if (name === basename(name) && name !== '.' && name !== '..' && name !== '' && !name.includes('\\')) return;
  throw new InvalidInputError('file of a model', 'a name without folders', JSON.stringify(name));
}

/** Renames the folder before it is removed, so that its name is free at once. Tasks that have its files open keep them. */
async function moveAway(folder: string, cacheFolder: string): Promise<void> {
  const aside = join(cacheFolder, `${draftPrefix}${randomUUID()}`);
  await unlessAbsent(rename(folder, aside));
  await rm(aside, { recursive: true, force: true });
}

const abandonedAfterMs = 24 * 60 * 60 * 1000;

/** Removes the drafts of downloads that were killed. */
async function sweep(cacheFolder: string): Promise<void> {
  for (const name of await readdir(cacheFolder)) {
    if (!name.startsWith(draftPrefix)) continue;
    const path = join(cacheFolder, name);
    // Another task may remove it at the same time.
    const draft = await unlessAbsent(stat(path));
    if (draft && Date.now() - draft.mtimeMs > abandonedAfterMs) await rm(path, { recursive: true, force: true });
  }
}

function isTaken(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOTEMPTY' || code === 'EEXIST' || code === 'EPERM';
}

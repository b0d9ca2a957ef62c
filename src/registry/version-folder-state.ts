/** @file What a version folder remembers from one process to the next. */
import { readFile, rename } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import * as z from 'zod';
import { InvalidInputError } from '../errors.js';
import { digestOf } from './digest.js';
import { writeDraft } from './draft-file.js';
import { decodeJson, encodeJson } from './json-object.js';
import { reservedFolder, versionName } from './keys.js';
import { type Pointer, pointerSchema } from './manifest.js';
import { decodeManifestOf, type LatestVersion } from './versions.js';

const namePattern = /^(\d{6})-[0-9a-f]{12}$/;

const stateSchema = z.strictObject({
  schemaVersion: z.literal(1),
  modelId: z.string().min(1),
  /** The pointer as it was seen last; null if only given versions were pulled. */
  latest: z.strictObject({ etag: z.string().min(1), pointer: pointerSchema }).nullable(),
  /** Names of the pulled folders, the current one first, then the most recently current ones. */
  recent: z.array(z.string().regex(namePattern)),
});

/** What a version folder remembers. */
export type FolderState = Readonly<z.infer<typeof stateSchema>>;

/** `<folder>/.hookline`: internal files. */
export const ownFolder = (folder: string): string => join(folder, reservedFolder);

/** `<folder>/.hookline/drafts`: files and links before they are moved into place. */
export const draftFolder = (folder: string): string => join(ownFolder(folder), 'drafts');

/** `<folder>/pulled/<name>`: one version. */
export const pulledFolder = (folder: string, name: string): string => join(folder, 'pulled', name);

/** `000003-0123456789ab`: a version and its manifest's digest, so that a name always means the same content. */
export const pulledName = ({ version, manifestSha256 }: Pick<Pointer, 'version' | 'manifestSha256'>): string =>
  `${versionName(version)}-${manifestSha256.slice(0, 12)}`;

/** The version in the name of a pulled folder, or undefined for another name. */
export function versionOfPulled(name: string | undefined): number | undefined {
  const digits = name === undefined ? undefined : namePattern.exec(name)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/**
 * The model whose versions a folder holds; undefined if nothing was pulled into it.
 * @throws {MalformedFileError} if its state is damaged
 */
export async function folderModelId(folder: string): Promise<string | undefined> {
  return (await decodedState(resolve(folder)))?.modelId;
}

/**
 * The state of a model's version folder; undefined for a new one.
 * @throws {InvalidInputError} if it holds another model's versions
 */
export async function readState(folder: string, modelId: string): Promise<FolderState | undefined> {
  const state = await decodedState(folder);
  if (state === undefined || state.modelId === modelId) return state;
  throw new InvalidInputError(`folder ${folder}`, `versions of model ${modelId}`, `those of ${state.modelId}`);
}

async function decodedState(folder: string): Promise<FolderState | undefined> {
  const path = statePath(folder);
  const bytes = await readIfThere(path);
  return bytes && decodeJson(stateSchema, bytes, path);
}

/** Replaces the state in one step. */
export async function writeState(folder: string, state: FolderState): Promise<void> {
  await rename(await writeDraft(draftFolder(folder), encodeJson(state), 'durable'), statePath(folder));
}

/** The latest version that an earlier process saw, if its manifest is still intact. */
export async function rememberedLatest(folder: string, modelId: string): Promise<LatestVersion | undefined> {
  const latest = (await readState(folder, modelId))?.latest;
  if (!latest) return undefined;
  const { etag, pointer } = latest;
  const bytes = await readIfThere(join(pulledFolder(folder, pulledName(pointer)), 'manifest.json'));
  if (bytes === undefined || digestOf(bytes) !== pointer.manifestSha256) return undefined;
  const { version } = pointer;
  return { version, etag, pointer, manifest: decodeManifestOf(modelId, version, bytes) };
}

const statePath = (folder: string): string => join(ownFolder(folder), 'state.json');

async function readIfThere(path: string): Promise<Uint8Array | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

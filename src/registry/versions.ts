import { DigestMismatchError, InvalidInputError, MalformedFileError, NoSuchKeyError } from '../errors.js';
import { digestOf } from './digest.js';
import { manifestKey, modelPrefix, versionOfKey, versionsPrefix } from './keys.js';
import { decodeManifest, type JsonValue, type Manifest, type ManifestFile, type Pointer } from './manifest.js';
import type { ObjectStore } from './object-store.js';
import { type PointerState, pointerHistory, readPointer } from './pointer.js';

/** The version that `latest` names; `{ version, etag }` is the base of the next round. */
export interface LatestVersion {
  readonly version: number;
  /** ETag of `latest.json`. */
  readonly etag: string;
  readonly manifest: Manifest;
  readonly pointer: Pointer;
}

/**
 * The version that `latest` names, its manifest verified; undefined before the first version.
 * @throws {DigestMismatchError} if the manifest is not the one that was published
 */
export async function latest(store: ObjectStore, modelId: string): Promise<LatestVersion | undefined> {
  const state = await readPointer(store, modelId);
  return state && versionOfState(store, modelId, state);
}

/** The version a state of the pointer names, its manifest verified. */
export async function versionOfState(store: ObjectStore, modelId: string, state: PointerState): Promise<LatestVersion> {
  const { pointer, etag } = state;
  const manifest = await readManifest(store, modelId, pointer.version, pointer.manifestSha256);
  return { version: pointer.version, etag, manifest, pointer };
}

/**
 * The manifest of a version, published or left over.
 * @param expectedSha256 digest of its bytes, if known
 * @throws {NoSuchKeyError} @throws {MalformedFileError} @throws {DigestMismatchError}
 */
export async function readManifest(
  store: ObjectStore,
  modelId: string,
  version: number,
  expectedSha256?: string,
): Promise<Manifest> {
  const key = manifestKey(modelId, version);
  const { bytes } = await store.get(key);
  const sha256 = digestOf(bytes);
  if (expectedSha256 !== undefined && sha256 !== expectedSha256)
    throw new DigestMismatchError(key, expectedSha256, sha256);
  return decodeManifestOf(modelId, version, bytes);
}

/**
 * The manifest in these bytes, which must be this version's.
 * @throws {MalformedFileError}
 */
export function decodeManifestOf(modelId: string, version: number, bytes: Uint8Array): Manifest {
  const key = manifestKey(modelId, version);
  const manifest = decodeManifest(bytes, key);
  if (manifest.modelId !== modelId || manifest.version !== version) {
    throw new MalformedFileError(
      key,
      `${modelId} version ${version}`,
      `${manifest.modelId} version ${manifest.version}`,
    );
  }
  return manifest;
}

/**
 * The state of the pointer that published a version.
 * @throws {InvalidInputError} if it was never published
 */
export async function findPublished(store: ObjectStore, modelId: string, version: number): Promise<PointerState> {
  for await (const state of pointerHistory(store, modelId)) {
    if (state.pointer.action === 'publish' && state.pointer.version === version) return state;
  }
  throw new InvalidInputError(`version of model ${modelId}`, 'a published version', String(version));
}

/** A version in a listing. */
export interface VersionSummary {
  readonly version: number;
  readonly parent: number | null;
  readonly createdAt: string;
  readonly publishedBy: string;
  readonly isLatest: boolean;
  /** Edits it wrote itself. */
  readonly ownEdits: number;
  /** Edits in force, its own and inherited. */
  readonly activeEdits: number;
  readonly metrics: JsonValue;
}

/** A published version whose manifest is missing or damaged. */
export interface DamagedVersion {
  readonly version: number;
  readonly problem: string;
}

/** All versions of a model. */
export interface VersionListing {
  readonly latest: number | null;
  /** Ascending. */
  readonly published: readonly VersionSummary[];
  /** Published, but not readable any more. Ascending. */
  readonly damaged: readonly DamagedVersion[];
  /** Numbers of publishes that did not finish, or have not finished yet. */
  readonly unpublished: readonly number[];
}

/** Lists a model's versions. Damaged ones are listed too, so that one of them does not hide all others. */
export async function listVersions(store: ObjectStore, modelId: string): Promise<VersionListing> {
  const states: PointerState[] = [];
  for await (const state of pointerHistory(store, modelId)) states.push(state);
  const current = states[0]?.pointer.version ?? null;
  const publishing = states.filter((state) => state.pointer.action === 'publish').reverse();
  const versions = await Promise.all(publishing.map((state) => versionOrProblem(store, modelId, state)));
  const published = versions.flatMap((found) => ('manifest' in found ? [summary(found.manifest, current)] : []));
  const damaged = versions.filter((found) => 'problem' in found);
  const known = new Set(publishing.map(({ pointer }) => pointer.version));
  const unpublished = (await versionNumbers(store, modelId)).filter((version) => !known.has(version));
  return { latest: current, published, damaged, unpublished };
}

async function versionOrProblem(
  store: ObjectStore,
  modelId: string,
  state: PointerState,
): Promise<LatestVersion | DamagedVersion> {
  try {
    return await versionOfState(store, modelId, state);
  } catch (error) {
    if (!isDamage(error)) throw error;
    return { version: state.pointer.version, problem: error.message };
  }
}

const isDamage = (error: unknown): error is Error =>
  error instanceof DigestMismatchError || error instanceof MalformedFileError || error instanceof NoSuchKeyError;

function summary(manifest: Manifest, latestVersion: number | null): VersionSummary {
  const { version, parent, createdAt, publishedBy, edits, metrics } = manifest;
  const ownEdits = edits.filter((edit) => edit.version === version).length;
  const activeEdits = edits.filter((edit) => edit.status === 'active').length;
  return {
    version,
    parent,
    createdAt,
    publishedBy,
    isLatest: version === latestVersion,
    ownEdits,
    activeEdits,
    metrics,
  };
}

/** Every version number under which anything is stored, ascending. */
export async function versionNumbers(store: ObjectStore, modelId: string): Promise<readonly number[]> {
  const keys = await store.list(versionsPrefix(modelId));
  const numbers = new Set(keys.map((key) => versionOfKey(modelId, key)).filter((version) => version !== undefined));
  return [...numbers].sort((first, second) => first - second);
}

/** A version with the content of every file it names. */
export interface PulledVersion {
  readonly manifest: Manifest;
  /** By the key relative to `models/<modelId>/`, as the manifest names it. */
  readonly files: ReadonlyMap<string, Uint8Array>;
}

/**
 * Reads a published version (by default the latest) with all its files and segments, each verified by SHA-256.
 * @throws {DigestMismatchError} naming the file and both digests
 * @throws {NoSuchKeyError} if a file is missing
 * @throws {InvalidInputError} if there is no such published version
 */
export async function pull(store: ObjectStore, modelId: string, version?: number): Promise<PulledVersion> {
  const state =
    version === undefined ? await readPointer(store, modelId) : await findPublished(store, modelId, version);
  if (state === undefined) throw new InvalidInputError(`model ${modelId}`, 'a published version', 'none in this store');
  const { manifest } = await versionOfState(store, modelId, state);
  const named = new Map([...manifest.segments, ...manifest.files].map((file) => [file.key, file]));
  const contents = [...named.values()].map(async (file) => [file.key, await pullFile(store, modelId, file)] as const);
  return { manifest, files: new Map(await Promise.all(contents)) };
}

/**
 * What of a published version is missing or damaged, in words; empty where it is complete.
 * @throws {InvalidInputError} if there is no such published version
 */
export async function damageOf(store: ObjectStore, modelId: string, version: number): Promise<readonly string[]> {
  const found = await versionOrProblem(store, modelId, await findPublished(store, modelId, version));
  if ('problem' in found) return [found.problem];
  const { segments, files } = found.manifest;
  const named = new Map([...segments, ...files].map((file) => [file.key, file]));
  const problems: string[] = [];
  // One at a time: nothing of them is kept.
  for (const file of named.values()) {
    try {
      await pullFile(store, modelId, file);
    } catch (error) {
      if (!isDamage(error)) throw error;
      problems.push(error.message);
    }
  }
  return problems;
}

/**
 * Reads one file that a manifest names, verified.
 * @throws {DigestMismatchError} @throws {NoSuchKeyError}
 */
export async function pullFile(
  store: ObjectStore,
  modelId: string,
  file: Pick<ManifestFile, 'key' | 'sha256'>,
): Promise<Uint8Array> {
  const key = modelPrefix(modelId) + file.key;
  const { bytes } = await store.get(key);
  const sha256 = digestOf(bytes);
  if (sha256 !== file.sha256) throw new DigestMismatchError(key, file.sha256, sha256);
  return bytes;
}

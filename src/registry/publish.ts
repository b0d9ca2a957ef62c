import { InvalidInputError, PreconditionFailedError, StaleBaseError } from '../errors.js';
import { digestOf } from './digest.js';
import { encodeJson } from './json-object.js';
import { manifestKey, relativeVersionFileKey, type VersionFileName, versionFileKey, versionName } from './keys.js';
import {
  type Base,
  checkManifest,
  type Manifest,
  type ManifestEdit,
  type ManifestFile,
  type Segment,
} from './manifest.js';
import type { ObjectStore } from './object-store.js';
import { movePointer, type PointerState, pointerHistory, readPointer } from './pointer.js';
import { type LatestVersion, versionNumbers, versionOfState } from './versions.js';

/** An edit in a draft. Without `version` it is one that this version writes. */
export type DraftEdit = Omit<ManifestEdit, 'version'> & { readonly version?: number };

/** What a round knows of its manifest; `publish` fills in the rest. `segments` are the earlier ones it stands on. */
export type ManifestDraft = Pick<
  Manifest,
  'modelDigest' | 'hyperparameters' | 'layers' | 'dModel' | 'dInner' | 'gate' | 'statistics' | 'segments' | 'metrics'
> & { readonly edits: readonly DraftEdit[] };

export interface PublishRequest {
  readonly manifest: ManifestDraft;
  readonly files: ReadonlyMap<VersionFileName, Uint8Array>;
  /** The state of `latest` on which the round was computed; null for a model's first version. */
  readonly base: Base | null;
  /**
   * Who publishes. Must be this attempt at the round and nothing else, such as an execution's ARN or a run's UUID: a
   * second publish by the same name on the same base is taken for the first one, whose reply was lost.
   */
  readonly publishedBy: string;
  /** The clock. */
  readonly now?: () => Date;
}

const fileRoles = { 'hooks.safetensors': 'hooks', 'report.html': 'report', 'edits.jsonl': 'edits' } as const;

/**
 * Publishes a version exactly once: its files under a new number, then its manifest, then the pointer, which moves only
 * if it still is in the base's state. A reader that begins at the pointer never sees anything incomplete; a publish that
 * ends half-way leaves a number unused. Calling it again with the same request, after any failure, is safe.
 * @throws {StaleBaseError} if somebody else moved the pointer: run the round again on the new base
 * @throws {InvalidInputError} if an edit bears the id of another active one
 * @throws {InvalidInputError} @throws {MalformedFileError} if the draft contradicts itself
 */
export async function publish(store: ObjectStore, modelId: string, request: PublishRequest): Promise<LatestVersion> {
  const { base } = request;
  const current = await readPointer(store, modelId);
  if (current?.etag !== base?.etag) return findEarlierPublish(store, modelId, request);
  if (current !== undefined && current.pointer.version !== base?.version) {
    throw new InvalidInputError('base version', `the latest, ${current.pointer.version}`, String(base?.version));
  }
  for (;;) {
    const manifest = manifestOf(modelId, await nextVersion(store, modelId), request);
    if (await wroteVersion(store, manifest, request.files)) return pointTo(store, current, manifest, request);
  }
}

/** The number the next publish would take if nobody else publishes first. */
export async function nextVersion(store: ObjectStore, modelId: string): Promise<number> {
  return ((await versionNumbers(store, modelId)).at(-1) ?? 0) + 1;
}

function manifestOf(modelId: string, version: number, request: PublishRequest): Manifest {
  const { manifest: draft, base, publishedBy, now = () => new Date() } = request;
  requireOwnIds(modelId, draft.edits);
  const files = [...request.files].map(([name, bytes]) => fileOf(version, name, bytes));
  const segments: Segment[] = files
    .filter((file) => file.role === 'hooks')
    .map(({ key, sizeBytes, sha256 }) => ({ version, key, sizeBytes, sha256 }));
  const manifest = {
    schemaVersion: 1,
    modelId,
    modelDigest: draft.modelDigest,
    version,
    parent: base?.version ?? null,
    createdAt: now().toISOString(),
    publishedBy,
    base,
    hyperparameters: draft.hyperparameters,
    layers: draft.layers,
    dModel: draft.dModel,
    dInner: draft.dInner,
    gate: draft.gate,
    statistics: draft.statistics,
    edits: draft.edits.map((edit) => ({ ...edit, version: edit.version ?? version })),
    segments: [...draft.segments, ...segments],
    metrics: draft.metrics,
    files,
  };
  return checkManifest(manifest, `manifest of ${modelId} version ${versionName(version)}`);
}

/**
 * An id stands for one active fact: what a version writes bears no id that an active edit of it bears already. Versions
 * of earlier releases may hold such pairs; they are left as they are.
 */
function requireOwnIds(modelId: string, edits: readonly DraftEdit[]): void {
  const active = edits.filter(({ status }) => status === 'active');
  const written = active.filter(({ version }) => version === undefined);
  const taken = written.find(({ id }) => active.filter((edit) => edit.id === id).length > 1);
  if (taken === undefined) return;
  throw new InvalidInputError(`edit ${taken.id} of ${modelId}`, 'an id that no other active edit bears', 'one in use');
}

function fileOf(version: number, name: VersionFileName, bytes: Uint8Array): ManifestFile {
  const key = relativeVersionFileKey(version, name);
  return { key, sizeBytes: bytes.length, sha256: digestOf(bytes), role: fileRoles[name] };
}

/** Writes files and manifest; false if another publisher took this number first. */
async function wroteVersion(store: ObjectStore, manifest: Manifest, files: PublishRequest['files']): Promise<boolean> {
  const { modelId, version } = manifest;
  try {
    for (const [name, bytes] of files) {
      await store.put(versionFileKey(modelId, version, name), bytes, { ifNoneMatch: '*' });
    }
    await store.put(manifestKey(modelId, version), encodeJson(manifest), { ifNoneMatch: '*' });
    return true;
  } catch (error) {
    if (error instanceof PreconditionFailedError) return false;
    throw error;
  }
}

async function pointTo(
  store: ObjectStore,
  current: PointerState | undefined,
  manifest: Manifest,
  request: PublishRequest,
): Promise<LatestVersion> {
  const { modelId, version, publishedBy, createdAt: publishedAt } = manifest;
  const manifestSha256 = digestOf(encodeJson(manifest));
  const move = { version, manifestSha256, publishedBy, publishedAt, action: 'publish' as const };
  try {
    const { pointer, etag } = await movePointer(store, modelId, current, move);
    return { version, etag, manifest, pointer };
  } catch (error) {
    if (!(error instanceof PreconditionFailedError)) throw error;
    return findEarlierPublish(store, modelId, request);
  }
}

/**
 * The version this same request has already published, if its reply was lost; it need not be the latest any more.
 * @throws {StaleBaseError} if there is none
 */
async function findEarlierPublish(
  store: ObjectStore,
  modelId: string,
  request: PublishRequest,
): Promise<LatestVersion> {
  const { base, publishedBy } = request;
  let latestVersion: number | null = null;
  for await (const state of pointerHistory(store, modelId)) {
    const { pointer } = state;
    latestVersion ??= pointer.version;
    if (pointer.action !== 'publish') continue;
    // Whatever was published on the base came after the base itself.
    if (base !== null && pointer.version <= base.version) break;
    if (pointer.publishedBy !== publishedBy) continue;
    const published = await versionOfState(store, modelId, state);
    if (published.manifest.base?.etag === base?.etag) return published;
  }
  throw new StaleBaseError(modelId, base?.version ?? null, latestVersion);
}

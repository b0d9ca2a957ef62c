import { DigestMismatchError, InvalidInputError } from '../errors.js';
import { type ContentCache, MemoryContentCache } from './content-cache.js';
import { checkModelId, latestKey, manifestKey, modelPrefix } from './keys.js';
import { decodePointer, type Manifest, type ManifestFile } from './manifest.js';
import type { ObjectStore } from './object-store.js';
import { type PointerState, readPointer } from './pointer.js';
import { decodeManifestOf, findPublished, type LatestVersion, type PulledVersion, pullFile } from './versions.js';

/** Whose versions are read, and how they are checked. */
export interface ModelVersionsOptions {
  readonly store: ObjectStore;
  readonly modelId: string;
  /** Where contents are kept; by default this process's memory. */
  readonly cache?: ContentCache;
  /** SHA-256 of the reader's base model (`modelDigest`). Versions for another base model are refused. */
  readonly modelDigest?: string;
  /** The result of `latest` in an earlier process. With it, the first look is a conditional request too. */
  readonly known?: LatestVersion;
}

/**
 * A model's published versions as a service reads them. Every file is verified by SHA-256 and fetched once. A version
 * is handed out only when it is complete.
 */
export class ModelVersions {
  readonly modelId: string;
  readonly #cache: ContentCache;
  #latest: LatestVersion | undefined;
  #pulled: { readonly latest: LatestVersion; readonly version: PulledVersion } | undefined;

  /** @throws {InvalidInputError} for an id that no model has */
  constructor(readonly options: ModelVersionsOptions) {
    this.modelId = checkModelId(options.modelId);
    this.#cache = options.cache ?? new MemoryContentCache();
    this.#latest = options.known;
  }

  /**
   * The version that `latest` names; undefined before the first one. If it is the same as before, this costs one
   * conditional request without a body, and the same object is returned.
   * @throws {DigestMismatchError} if its manifest is not the one that was published, or it is for another base model
   */
  async latest(): Promise<LatestVersion | undefined> {
    const state = await this.#changedState();
    const found = state === undefined ? this.#latest : await this.#versionOf(state);
    if (found !== undefined) this.#checkBase(found.manifest);
    this.#latest = found;
    return found;
  }

  /**
   * A published version: the state of the pointer that published it, and its manifest.
   * @throws {InvalidInputError} if there is no such version
   */
  async published(version: number): Promise<LatestVersion> {
    const found = await this.#versionOf(await findPublished(this.options.store, this.modelId, version));
    this.#checkBase(found.manifest);
    return found;
  }

  /**
   * The manifest of a published version.
   * @throws {InvalidInputError} if there is no such version
   */
  async version(version: number): Promise<Manifest> {
    return (await this.published(version)).manifest;
  }

  /**
   * A version with all its files, by default the latest. The same object is returned as long as nothing is new.
   * @throws {DigestMismatchError} naming the file and both digests
   * @throws {NoSuchKeyError} if a file is missing
   * @throws {InvalidInputError} if there is no such published version
   */
  async pull(version?: number): Promise<PulledVersion> {
    const pulled = version === undefined ? await this.pullLatest() : await this.#contents(await this.version(version));
    if (pulled !== undefined) return pulled;
    throw new InvalidInputError(`model ${this.modelId}`, 'a published version', 'none in this store');
  }

  /** The version that `latest` names with all its files; undefined before the first one. */
  async pullLatest(): Promise<PulledVersion | undefined> {
    const found = await this.latest();
    if (found === undefined) return undefined;
    if (this.#pulled?.latest !== found) this.#pulled = { latest: found, version: await this.#contents(found.manifest) };
    return this.#pulled.version;
  }

  /**
   * One file that a manifest names, from the cache if it is there.
   * @throws {DigestMismatchError} @throws {NoSuchKeyError}
   */
  async content(file: Pick<ManifestFile, 'key' | 'sha256'>): Promise<Uint8Array> {
    const known = await this.#cache.find(file.sha256);
    if (known !== undefined) return known;
    const bytes = await pullFile(this.options.store, this.modelId, file);
    await this.#cache.keep(file.sha256, bytes);
    return bytes;
  }

  async #contents(manifest: Manifest): Promise<PulledVersion> {
    const named = new Map([...manifest.segments, ...manifest.files].map((file) => [file.key, file]));
    const contents = [...named.values()].map(async (file) => [file.key, await this.content(file)] as const);
    return { manifest, files: new Map(await Promise.all(contents)) };
  }

  /** The pointer, or undefined if it has not moved. */
  async #changedState(): Promise<PointerState | undefined> {
    const { store } = this.options;
    if (this.#latest === undefined) return readPointer(store, this.modelId);
    const key = latestKey(this.modelId);
    const changed = await store.getIfChanged(key, this.#latest.etag);
    return changed && { pointer: decodePointer(changed.bytes, key), ...changed };
  }

  /** Manifests are cached like all contents, so a version that was seen before needs no request. */
  async #versionOf({ pointer, etag }: PointerState): Promise<LatestVersion> {
    const { version, manifestSha256 } = pointer;
    const key = manifestKey(this.modelId, version).slice(modelPrefix(this.modelId).length);
    const bytes = await this.content({ key, sha256: manifestSha256 });
    return { version, etag, manifest: decodeManifestOf(this.modelId, version, bytes), pointer };
  }

  #checkBase({ version, modelDigest }: Manifest): void {
    const expected = this.options.modelDigest;
    if (expected === undefined || expected === modelDigest) return;
    throw new DigestMismatchError(`base model of ${this.modelId} version ${version}`, expected, modelDigest);
  }
}

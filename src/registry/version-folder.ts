import { mkdir, readdir, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { ConflictError, InvalidInputError } from '../errors.js';
import { type ContentCache, DirectoryContentCache } from './content-cache.js';
import { sweepDrafts } from './draft-file.js';
import { manifestKey, modelPrefix } from './keys.js';
import { LockTimeout, withLock } from './lock-file.js';
import type { Manifest } from './manifest.js';
import { ModelVersions, type ModelVersionsOptions } from './model-versions.js';
import { currentName, forEachOf, placeFile, pointCurrentTo, sizeIfIntact } from './version-folder-files.js';
import {
  draftFolder,
  ownFolder,
  pulledFolder,
  pulledName,
  readState,
  rememberedLatest,
  versionOfPulled,
  writeState,
} from './version-folder-state.js';
import type { LatestVersion } from './versions.js';

/** Whose versions are pulled, and where to. */
export interface VersionFolderOptions extends Omit<ModelVersionsOptions, 'cache' | 'known'> {
  /** The folder; the first pull creates it. */
  readonly path: string;
  /** A cache that is shared with others (`DirectoryContentCache`) and never cleared; by default the folder's own. */
  readonly cacheFolder?: string;
  /** How many pulled versions stay, at least 2: the current one and those that were current before. 3 by default. */
  readonly keep?: number;
  /** Called for each file that was put in place. @param key as the manifest names it */
  readonly onProgress?: (doneBytes: number, totalBytes: number, key: string) => void;
}

/** A version in a folder. */
export interface FolderVersion {
  readonly version: number;
  readonly manifest: Manifest;
  /** Its folder, absolute: `manifest.json`, and every file at the key that the manifest names. */
  readonly path: string;
  /** The version that was current before; undefined if there was none. */
  readonly previous: number | undefined;
  /** Whether this pull made it current. */
  readonly isNew: boolean;
  /** Bytes from the store. */
  readonly fetchedBytes: number;
  /** Bytes that were here already. */
  readonly reusedBytes: number;
}

/** How many files are fetched at once. */
const fetchesAtOnce = 4;

/** How long a pull waits for another one into the same folder. */
const lockTimeoutSeconds = 120;

/**
 * A folder of pulled versions for programs of any kind:
 *
 * - `current` is a link to the version to read, such as `pulled/000003-0123456789ab`. It is replaced in one step, and
 *   only when every file of the version is there and has its digest. A reader resolves it once, and reads below its
 *   target.
 * - `pulled/<version>-<digest>/` holds `manifest.json` and the files at the keys that the manifest names, such as
 *   `versions/000001/hooks.safetensors`: read-only, and hard links to the cache where the file system has them.
 * - `.hookline/` holds the cache, the state and unfinished files.
 *
 * Any number of processes may pull into it. They take turns. A process may be killed at any point: the version that
 * `current` names stays whole, and the next pull continues.
 */
export class VersionFolder {
  readonly path: string;
  readonly #cache: DirectoryContentCache;
  readonly #versions: ModelVersions;
  readonly #options: VersionFolderOptions;
  #swept: Promise<void> | undefined;
  #held: { readonly found: LatestVersion; readonly version: FolderVersion } | undefined;
  #fetchedBytes = 0;

  private constructor(options: VersionFolderOptions, known: LatestVersion | undefined) {
    this.#options = options;
    this.path = resolve(options.path);
    this.#cache = new DirectoryContentCache(options.cacheFolder ?? join(ownFolder(this.path), 'cache'));
    this.#versions = new ModelVersions({ ...options, cache: this.#counting(), ...(known && { known }) });
  }

  /**
   * Opens a folder, with the state of `latest` that an earlier process saw.
   * @throws {InvalidInputError} if it holds another model's versions, or `keep` is no whole number of at least 2
   * @throws {MalformedFileError} if its state is damaged
   */
  static async open(options: VersionFolderOptions): Promise<VersionFolder> {
    const { keep = 3 } = options;
    if (!Number.isInteger(keep) || keep < 2) {
      throw new InvalidInputError('versions to keep', 'a whole number of at least 2', String(keep));
    }
    return new VersionFolder(options, await rememberedLatest(resolve(options.path), options.modelId));
  }

  /**
   * Makes the latest version current; undefined before the first one. If it is current already, this costs one
   * conditional request without a body, and the same object is returned. Damaged files in the folder are repaired.
   * @throws {DigestMismatchError} naming the file and both digests; then the current version stays
   * @throws {NoSuchKeyError} if a file is missing in the store
   * @throws {ConflictError} if other pulls into this folder take too long
   */
  async pullLatest(): Promise<FolderVersion | undefined> {
    return this.#exclusively(async () => {
      const found = await this.#versions.latest();
      return found && this.#take(found, found);
    });
  }

  /**
   * Makes a version current, by default the latest.
   * @throws {InvalidInputError} if there is no such published version, and as `pullLatest` does
   */
  async pull(version?: number): Promise<FolderVersion> {
    const take = async (given: number) => this.#take(await this.#versions.published(given));
    const taken = await (version === undefined ? this.pullLatest() : this.#exclusively(() => take(version)));
    if (taken !== undefined) return taken;
    throw new InvalidInputError(`model ${this.#options.modelId}`, 'a published version', 'none in this store');
  }

  /** @param latest given if this is the latest version, to be remembered */
  async #take(found: LatestVersion, latest?: LatestVersion): Promise<FolderVersion> {
    const name = pulledName(found.pointer);
    const before = await currentName(this.path);
    if (this.#held?.found === found && before === name) return this.#held.version;
    const totalBytes = await this.#complete(found, name);
    const isNew = before !== name;
    if (isNew) await pointCurrentTo(this.path, name);
    const recent = await this.#remember(name, before, latest);
    await this.#clear(found, recent);
    const fetchedBytes = this.#fetchedBytes;
    const version = {
      version: found.version,
      manifest: found.manifest,
      path: pulledFolder(this.path, name),
      previous: versionOfPulled(recent[1]),
      isNew,
      fetchedBytes,
      reusedBytes: Math.max(0, totalBytes - fetchedBytes),
    };
    this.#held = { found, version };
    return version;
  }

  /** Puts missing and damaged files in place, the manifest last. @returns the size of all files in bytes */
  async #complete({ manifest, pointer }: LatestVersion, name: string): Promise<number> {
    const { modelId, onProgress } = this.#options;
    const folder = pulledFolder(this.path, name);
    const files = new Map([...manifest.segments, ...manifest.files].map((file) => [file.key, file]));
    const totalBytes = [...files.values()].reduce((sum, file) => sum + file.sizeBytes, 0);
    let doneBytes = 0;
    await forEachOf([...files.values()], fetchesAtOnce, async (file) => {
      const { sizeBytes, isPlaced } = await this.#place(join(folder, file.key), file);
      doneBytes += sizeBytes;
      if (isPlaced) onProgress?.(doneBytes, totalBytes, file.key);
    });
    const key = manifestKey(modelId, manifest.version).slice(modelPrefix(modelId).length);
    const own = await this.#place(join(folder, 'manifest.json'), { key, sha256: pointer.manifestSha256 });
    return doneBytes + own.sizeBytes;
  }

  async #place(target: string, file: { readonly key: string; readonly sha256: string }) {
    const intactBytes = await sizeIfIntact(target, file.sha256);
    if (intactBytes !== undefined) return { sizeBytes: intactBytes, isPlaced: false };
    const bytes = await this.#versions.content(file);
    await placeFile(this.path, target, { bytes, cachePath: this.#cache.pathOf(file.sha256) });
    return { sizeBytes: bytes.length, isPlaced: true };
  }

  /** @returns the names of the pulled folders that stay, the current one first */
  async #remember(name: string, before: string | undefined, latest?: LatestVersion): Promise<readonly string[]> {
    const { modelId, keep = 3 } = this.#options;
    const state = await readState(this.path, modelId);
    const names = [name, ...(before === undefined ? [] : [before]), ...(state?.recent ?? [])];
    const recent = [...new Set(names)].slice(0, keep);
    const seen = latest ? { etag: latest.etag, pointer: latest.pointer } : (state?.latest ?? null);
    const next = { schemaVersion: 1 as const, modelId, latest: seen, recent };
    if (JSON.stringify(next) !== JSON.stringify(state)) await writeState(this.path, next);
    return recent;
  }

  /**
   * Removes all but the recent pulled folders, and from the folder's own cache all contents that this version lacks.
   */
  async #clear({ manifest, pointer }: LatestVersion, recent: readonly string[]): Promise<void> {
    for (const name of await readdir(join(this.path, 'pulled'))) {
      if (!recent.includes(name)) await rm(pulledFolder(this.path, name), { recursive: true, force: true });
    }
    if (this.#options.cacheFolder !== undefined) return;
    const { segments, files } = manifest;
    await this.#cache.keepOnly(
      new Set([pointer.manifestSha256, ...[...segments, ...files].map(({ sha256 }) => sha256)]),
    );
  }

  /** The cache, which counts the bytes that are added. */
  #counting(): ContentCache {
    return {
      find: (sha256) => this.#cache.find(sha256),
      keep: async (sha256, bytes) => {
        this.#fetchedBytes += bytes.length;
        await this.#cache.keep(sha256, bytes);
      },
    };
  }

  async #exclusively<T>(work: () => Promise<T>): Promise<T> {
    const drafts = draftFolder(this.path);
    await mkdir(drafts, { recursive: true });
    this.#swept ??= sweepDrafts(drafts);
    await this.#swept;
    const locks = join(ownFolder(this.path), 'locks');
    try {
      return await withLock(locks, 'pull', { draftFolder: drafts, timeoutSeconds: lockTimeoutSeconds }, () => {
        this.#fetchedBytes = 0;
        return work();
      });
    } catch (error) {
      if (error instanceof LockTimeout) throw new ConflictError(this.path, { cause: error });
      throw error;
    }
  }
}

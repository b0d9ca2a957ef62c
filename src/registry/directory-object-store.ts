import { type Dirent, existsSync, type Stats } from 'node:fs';
import { access, constants, lstat, mkdir, readdir, realpath, rename, rm } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import {
  ConflictError,
  HooklineError,
  InvalidInputError,
  NoSuchKeyError,
  PreconditionFailedError,
  StoreUnavailableError,
} from '../errors.js';
import { digestOf } from './digest.js';
import { absentAsUndefined, makeFolder, syncFolder } from './directory-files.js';
import { sweepDrafts, writeDraft } from './draft-file.js';
import { FileRest, observed, stampOf } from './file-rest.js';
import { checkKeyPrefix, checkObjectKey, reservedFolder } from './keys.js';
import { LockTimeout, withLock } from './lock-file.js';
import {
  type Arrival,
  checkPutCondition,
  type DeleteCondition,
  inOrderOfArrival,
  type ObjectHead,
  type ObjectStore,
  type PutCondition,
  type StoredObject,
  sortKeys,
  violation,
} from './object-store.js';
import { digestOfRegularFile, readRegularFile } from './regular-file.js';
import { TakenFiles } from './taken-files.js';

export interface DirectoryObjectStoreOptions {
  /** How long a write waits for other writers of the same key before it fails with a conflict. */
  readonly lockTimeoutSeconds?: number;
  /** How long a file of another program must be unchanged before it counts as complete; 1 by default. */
  readonly settleSeconds?: number;
  /** Whether the folder must be there already; by default the first write creates it. */
  readonly mustExist?: boolean;
}

/**
 * A store in a folder, one file per object, shared by any number of processes on one host.
 *
 * - Reads take no lock, because a write moves a complete file into place.
 * - A lock file puts the writes of one key in order, so a condition still holds when its write happens.
 * - A write is on the disk before it is acknowledged: file and folder are synchronised.
 * - The ETag is the quoted SHA-256 of the content, so files of other programs are objects too.
 * - A file of another program that is removed with `ifMatch` is moved aside and looked after: see {@link TakenFiles}.
 * - Only regular files are opened. Symbolic links below the root are not followed. Their targets are not in the store.
 * - A folder that was there once is not created again: it was moved, or its disk is not mounted.
 *
 * Every method throws {StoreUnavailableError} if the operating system refuses.
 *
 * Unlike in S3, no key may lie below another object's key (`a` and `a/b`).
 */
export class DirectoryObjectStore implements ObjectStore {
  readonly root: string;
  readonly #lockTimeoutSeconds: number;
  readonly #rest: FileRest;
  readonly #taken: TakenFiles;
  #wasThere: boolean;
  #swept: Promise<void> | undefined;

  /** @param root the folder; the first write creates it */
  constructor(root: string, options: DirectoryObjectStoreOptions = {}) {
    this.root = resolve(root);
    this.#lockTimeoutSeconds = options.lockTimeoutSeconds ?? 30;
    this.#rest = new FileRest(options.settleSeconds ?? 1);
    this.#wasThere = options.mustExist ?? false;
    this.#taken = new TakenFiles({
      root: this.root,
      folder: this.#own('taken'),
      draftFolder: this.#own('drafts'),
      rest: this.#rest,
      putIfAbsent: (key, bytes) => this.#putIfAbsent(key, bytes),
      exclusively: (name, work) => this.#alone(name, work),
    });
  }

  get(key: string): Promise<StoredObject> {
    return this.#guarded(async () => {
      const bytes = await this.#read(checkObjectKey(key), readRegularFile);
      if (bytes === undefined) throw new NoSuchKeyError(key);
      return { bytes: new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length), etag: `"${digestOf(bytes)}"` };
    });
  }

  async getIfChanged(key: string, etag: string): Promise<StoredObject | undefined> {
    const object = await this.get(key);
    return object.etag === etag ? undefined : object;
  }

  head(key: string): Promise<ObjectHead | undefined> {
    return this.#guarded(async () => {
      const digest = await this.#read(checkObjectKey(key), digestOfRegularFile);
      return digest && { etag: `"${digest.sha256}"`, sizeBytes: digest.sizeBytes };
    });
  }

  async put(key: string, bytes: Uint8Array, condition: PutCondition = {}): Promise<{ readonly etag: string }> {
    checkPutCondition(condition);
    return this.#exclusively(key, async () => {
      const isConditional = condition.ifMatch !== undefined || condition.ifNoneMatch !== undefined;
      const violated = isConditional ? violation(condition, (await this.head(key))?.etag) : undefined;
      if (violated !== undefined) throw new PreconditionFailedError(key, violated);
      await this.#replace(key, bytes);
      return { etag: `"${digestOf(bytes)}"` };
    });
  }

  async #putIfAbsent(key: string, bytes: Uint8Array): Promise<void> {
    await this.#exclusively(key, async () => {
      if ((await this.head(key)) === undefined) await this.#replace(key, bytes);
    });
  }

  list(prefix: string): Promise<readonly string[]> {
    return this.#guarded(async () => {
      const folder = checkKeyPrefix(prefix).slice(0, prefix.lastIndexOf('/') + 1);
      const keys: string[] = [];
      if (await this.#isInside(this.#pathOf(folder))) await this.#collect(folder, prefix, keys);
      return sortKeys(keys);
    });
  }

  arrivals(prefix: string): Promise<readonly Arrival[]> {
    return this.#guarded(async () => {
      const found: FoundFile[] = [];
      const isThere = await this.#isInside(this.#pathOf(checkKeyPrefix(prefix)));
      if (isThere) await this.#find(prefix, found);
      const files = found
        .filter(({ problem }) => problem === undefined)
        .map(({ path, stats }) => observed(path, stats));
      const growing = await this.#rest.growing(files);
      return inOrderOfArrival(
        found.map(({ key, path, stats, problem }) => ({
          key,
          arrivedAt: stats.mtimeMs,
          sizeBytes: stats.size,
          stamp: stampOf(observed(path, stats)),
          isGrowing: growing.has(path),
          problem,
        })),
      );
    });
  }

  dropLateWrites(): Promise<readonly string[]> {
    return this.#guarded(() => this.#taken.dropLateWrites());
  }

  async delete(key: string, condition: DeleteCondition = {}): Promise<void> {
    checkObjectKey(key);
    if (!existsSync(this.root) && !this.#wasThere) return;
    await this.#exclusively(key, async () => {
      const path = this.#pathOf(key);
      const found = (await this.#isInside(path)) ? await absentAsUndefined(() => lstat(path)) : undefined;
      if (!found?.isFile()) return;
      if (condition.ifMatch !== undefined) return this.#takeOut(key, condition);
      await rm(path, { force: true });
      await syncFolder(dirname(path));
    });
  }

  /** Other programs, which take no lock, may replace or go on writing the file at any time. */
  async #takeOut(key: string, condition: DeleteCondition): Promise<void> {
    const path = this.#pathOf(key);
    const content = await absentAsUndefined(() => digestOfRegularFile(path));
    if (content === undefined) return;
    const violated = violation(condition, `"${content.sha256}"`);
    if (violated !== undefined) throw new PreconditionFailedError(key, violated);
    await this.#taken.take(path, key, content);
  }

  #pathOf(key: string): string {
    return join(this.root, ...key.split('/'));
  }

  /** Whether the file exists, without a symbolic link on the way from the root. */
  async #isInside(path: string): Promise<boolean> {
    const real = await absentAsUndefined(() => realpath(path));
    return real !== undefined && real === resolve(await realpath(this.root), relative(this.root, path));
  }

  async #read<T>(key: string, read: (path: string) => Promise<T>): Promise<T | undefined> {
    const path = this.#pathOf(key);
    return (await this.#isInside(path)) ? absentAsUndefined(() => read(path)) : undefined;
  }

  #exclusively<T>(key: string, work: () => Promise<T>): Promise<T> {
    return this.#guarded(() => this.#alone(checkObjectKey(key), work));
  }

  async #alone<T>(name: string, work: () => Promise<T>): Promise<T> {
    const draftFolder = this.#own('drafts');
    const options = { draftFolder, timeoutSeconds: this.#lockTimeoutSeconds };
    await this.#prepare(draftFolder);
    this.#swept ??= sweepDrafts(draftFolder);
    await this.#swept;
    try {
      return await withLock(this.#own('locks'), digestOf(name), options, work);
    } catch (error) {
      if (error instanceof LockTimeout) throw new ConflictError(name, { cause: error });
      throw error;
    }
  }

  async #prepare(draftFolder: string): Promise<void> {
    if (!this.#wasThere) await mkdir(this.root, { recursive: true });
    this.#wasThere = true;
    for (const folder of [draftFolder, this.#own('locks')]) await makeFolder(folder, this.root);
  }

  /** What the operating system refuses says something about the folder, and nothing about the work. */
  async #guarded<T>(work: () => Promise<T>): Promise<T> {
    const isThere = existsSync(this.root);
    if (this.#wasThere && !isThere) throw new StoreUnavailableError(`store ${this.root}`, 'ENOENT');
    this.#wasThere ||= isThere;
    try {
      return await work();
    } catch (error) {
      const { code, syscall } = error as NodeJS.ErrnoException;
      if (error instanceof HooklineError || code === undefined || syscall === undefined) throw error;
      throw new StoreUnavailableError(`store ${this.root}`, code, { cause: error });
    }
  }

  #own(folder: string): string {
    return join(this.root, reservedFolder, folder);
  }

  async #replace(key: string, bytes: Uint8Array): Promise<void> {
    const path = this.#pathOf(key);
    const draft = await writeDraft(this.#own('drafts'), bytes, 'durable');
    try {
      await makeFolder(dirname(path), this.root);
      if (!(await this.#isInside(dirname(path)))) throw new PathTaken();
      await rename(draft, path);
    } catch (error) {
      await rm(draft, { force: true });
      if (!isPathTaken(error)) throw error;
      throw new InvalidInputError('object key', 'not below another object, a folder or a link', JSON.stringify(key));
    }
    await syncFolder(dirname(path));
  }

  async #collect(folder: string, prefix: string, keys: string[]): Promise<void> {
    const entries: Dirent[] =
      (await absentAsUndefined(() => readdir(this.#pathOf(folder), { withFileTypes: true }))) ?? [];
    for (const entry of entries) {
      const key = folder + entry.name;
      if (key === reservedFolder) continue;
      const couldHold = `${key}/`.startsWith(prefix) || prefix.startsWith(`${key}/`);
      if (entry.isDirectory() && couldHold) await this.#collect(`${key}/`, prefix, keys);
      if (entry.isFile() && key.startsWith(prefix) && isObjectKey(key)) keys.push(key);
    }
  }

  /** Everything in a folder and those below it, without the store's own. */
  async #find(folder: string, found: FoundFile[]): Promise<void> {
    const entries: Dirent[] =
      (await absentAsUndefined(() => readdir(this.#pathOf(folder), { withFileTypes: true }))) ?? [];
    for (const entry of entries) {
      const key = folder + entry.name;
      if (key === reservedFolder) continue;
      const path = this.#pathOf(key);
      const stats = await absentAsUndefined(() => lstat(path));
      if (stats === undefined) continue;
      const problem = await problemOf(key, path, stats);
      if (stats.isDirectory() && problem === undefined) await this.#find(`${key}/`, found);
      else found.push({ key, path, stats, problem });
    }
  }
}

/** What lies in a folder of the store, and why it cannot be read. */
interface FoundFile {
  readonly key: string;
  readonly path: string;
  readonly stats: Stats;
  readonly problem: string | undefined;
}

async function problemOf(key: string, path: string, stats: Stats): Promise<string | undefined> {
  if (!isObjectKey(key)) return 'a name that an object can have, got another one';
  if (!stats.isFile() && !stats.isDirectory())
    return `a regular file, got ${stats.isSymbolicLink() ? 'a symbolic link' : 'a pipe, socket or device'}`;
  try {
    await access(path, stats.isDirectory() ? constants.R_OK | constants.X_OK : constants.R_OK);
    return undefined;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // Of one that was taken just now nothing is to be said.
    return code === 'ENOENT' ? undefined : `the right to read it, got ${code}`;
  }
}

class PathTaken extends Error {}

function isPathTaken(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return error instanceof PathTaken || code === 'EISDIR' || code === 'ENOTDIR' || code === 'EEXIST';
}

/** A file of another program under a name that no key can have is no object, because it could not be read. */
function isObjectKey(name: string): boolean {
  try {
    return checkObjectKey(name) === name;
  } catch (error) {
    if (error instanceof InvalidInputError) return false;
    throw error;
  }
}

import { type Dirent, existsSync } from 'node:fs';
import { link, mkdir, open, readdir, readFile, realpath, rename, rm, stat } from 'node:fs/promises';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { ConflictError, InvalidInputError, NoSuchKeyError, PreconditionFailedError } from '../errors.js';
import { digestOf, digestOfFile } from './digest.js';
import { sweepDrafts, writeDraft } from './draft-file.js';
import { checkKeyPrefix, checkObjectKey, reservedFolder } from './keys.js';
import { LockTimeout, withLock } from './lock-file.js';
import {
  checkPutCondition,
  type DeleteCondition,
  type ObjectHead,
  type ObjectStore,
  type PutCondition,
  type StoredObject,
  sortKeys,
  violation,
} from './object-store.js';
import { mayBeRunning, processIdentity } from './process-identity.js';

export interface DirectoryObjectStoreOptions {
  /** How long a write waits for other writers of the same key before it fails with a conflict. */
  readonly lockTimeoutSeconds?: number;
}

/**
 * A store in a folder, one file per object, shared by any number of processes on one host.
 *
 * - Reads take no lock, because a write moves a complete file into place.
 * - A lock file puts the writes of one key in order, so a condition still holds when its write happens.
 * - A write is on the disk before it is acknowledged: file and folder are synchronised.
 * - The ETag is the quoted SHA-256 of the content, so files of other programs are objects too.
 * - Symbolic links below the root are not followed. Their targets are not in the store.
 *
 * Unlike in S3, no key may lie below another object's key (`a` and `a/b`).
 */
export class DirectoryObjectStore implements ObjectStore {
  readonly root: string;
  readonly #lockTimeoutSeconds: number;
  #swept: Promise<void> | undefined;

  /** @param root the folder; the first write creates it */
  constructor(root: string, options: DirectoryObjectStoreOptions = {}) {
    this.root = resolve(root);
    this.#lockTimeoutSeconds = options.lockTimeoutSeconds ?? 30;
  }

  async get(key: string): Promise<StoredObject> {
    const bytes = await this.#read(checkObjectKey(key), (path) => readFile(path));
    if (bytes === undefined) throw new NoSuchKeyError(key);
    return { bytes: new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length), etag: `"${digestOf(bytes)}"` };
  }

  async getIfChanged(key: string, etag: string): Promise<StoredObject | undefined> {
    const object = await this.get(key);
    return object.etag === etag ? undefined : object;
  }

  async head(key: string): Promise<ObjectHead | undefined> {
    const digest = await this.#read(checkObjectKey(key), digestOfFile);
    return digest && { etag: `"${digest.sha256}"`, sizeBytes: digest.sizeBytes };
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

  async list(prefix: string): Promise<readonly string[]> {
    const folder = checkKeyPrefix(prefix).slice(0, prefix.lastIndexOf('/') + 1);
    const keys: string[] = [];
    if (await this.#isInside(this.#pathOf(folder))) await this.#collect(folder, prefix, keys);
    return sortKeys(keys);
  }

  async delete(key: string, condition: DeleteCondition = {}): Promise<void> {
    checkObjectKey(key);
    if (!existsSync(this.root)) return;
    await this.#exclusively(key, async () => {
      const path = this.#pathOf(key);
      const found = (await this.#isInside(path)) ? await absentAsUndefined(() => stat(path)) : undefined;
      if (!found?.isFile()) return;
      if (condition.ifMatch === undefined) await rm(path, { force: true });
      else await this.#removeOnly(key, condition);
      await syncFolder(dirname(path));
    });
  }

  /**
   * Moves the file aside and then compares it, because programs without locks may replace it at any time. If it is not
   * the one to remove, it is put back.
   */
  async #removeOnly(key: string, condition: DeleteCondition): Promise<void> {
    const aside = join(this.#own('aside'), `${await processIdentity()}.${crypto.randomUUID()}`, ...key.split('/'));
    await mkdir(dirname(aside), { recursive: true });
    const isMoved = await absentAsUndefined(() => rename(this.#pathOf(key), aside).then(() => true));
    const violated = isMoved ? violation(condition, `"${(await digestOfFile(aside)).sha256}"`) : undefined;
    if (violated !== undefined) await this.#putBack(key, aside);
    await rm(this.#asideOf(aside), { recursive: true });
    if (violated !== undefined) throw new PreconditionFailedError(key, violated);
  }

  /**
   * Puts back by a link, because a move would replace a newer file. If there is one, both stay, under different names.
   */
  async #putBack(key: string, aside: string): Promise<void> {
    const path = this.#pathOf(key);
    await makeFolder(dirname(path));
    await link(aside, path).catch(async (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
      await link(aside, `${path}~${crypto.randomUUID().slice(0, 8)}`);
    });
    await syncFolder(dirname(path));
  }

  /** Puts back files that killed processes had moved aside and not yet compared. */
  async #recover(): Promise<void> {
    const folder = this.#own('aside');
    for (const name of (await absentAsUndefined(() => readdir(folder))) ?? []) {
      if (await mayBeRunning(name.slice(0, name.lastIndexOf('.')))) continue;
      // Only one process takes it over. If that is killed too, the next one does.
      const taken = join(folder, `${await processIdentity()}.${crypto.randomUUID()}`);
      if (!(await absentAsUndefined(() => rename(join(folder, name), taken).then(() => true)))) continue;
      const left = await readdir(taken, { recursive: true, withFileTypes: true });
      for (const file of left.filter((entry) => entry.isFile())) {
        const aside = join(file.parentPath, file.name);
        await this.#putBack(relative(taken, aside).split(sep).join('/'), aside);
      }
      await rm(taken, { recursive: true });
    }
  }

  /** The folder of one deletion, from a path in it. */
  #asideOf(path: string): string {
    const folder = this.#own('aside');
    return join(folder, relative(folder, path).split(sep)[0]);
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

  async #exclusively<T>(key: string, work: () => Promise<T>): Promise<T> {
    const draftFolder = this.#own('drafts');
    const options = { draftFolder, timeoutSeconds: this.#lockTimeoutSeconds };
    await mkdir(draftFolder, { recursive: true });
    this.#swept ??= sweepDrafts(draftFolder).then(() => this.#recover());
    await this.#swept;
    try {
      return await withLock(this.#own('locks'), digestOf(checkObjectKey(key)), options, work);
    } catch (error) {
      if (error instanceof LockTimeout) throw new ConflictError(key, { cause: error });
      throw error;
    }
  }

  #own(folder: string): string {
    return join(this.root, reservedFolder, folder);
  }

  async #replace(key: string, bytes: Uint8Array): Promise<void> {
    const path = this.#pathOf(key);
    const draft = await writeDraft(this.#own('drafts'), bytes, 'durable');
    try {
      await makeFolder(dirname(path));
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

async function absentAsUndefined<T>(read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'EISDIR') return undefined;
    throw error;
  }
}

/** Creates a folder and those above it, and synchronises each folder that gets a new entry. */
async function makeFolder(path: string): Promise<void> {
  const firstCreated = await mkdir(path, { recursive: true });
  if (firstCreated === undefined) return;
  for (let created = path; created.length >= firstCreated.length; created = dirname(created)) {
    await syncFolder(dirname(created));
  }
}

async function syncFolder(path: string): Promise<void> {
  // Windows cannot open folders, and it records a rename without a synchronisation.
  if (sep === '\\') return;
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

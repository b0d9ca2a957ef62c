import { readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import * as z from 'zod';
import { type ContentDigest, digestOf, digestOfFile } from './digest.js';
import { absentAsUndefined, makeFolder, syncFolder } from './directory-files.js';
import { writeDraft } from './draft-file.js';
import { type FileRest, observed } from './file-rest.js';
import { keyBeside, lateWriteOf } from './late-write.js';
import { readRegularFile } from './regular-file.js';
import { parseStored } from './stored-json.js';

const recordSchema = z.strictObject({
  /** Under which the file lay. */
  key: z.string(),
  /** Where it lies now, relative to the store's folder. */
  path: z.string(),
  /** What was read of it. */
  sizeBytes: z.int().nonnegative(),
  sha256: z.string(),
  /** When it was written last, before it was read. */
  mtimeMs: z.number(),
  /** When it was taken or looked through. */
  at: z.iso.datetime(),
});

/** A file that was taken from where other programs write. */
type TakenFile = z.infer<typeof recordSchema>;

const recordName = 'taken.json';

/** How long a taken file is looked after, from its last write. */
const keptMilliseconds = 24 * 3600 * 1000;

/** A file that has grown beyond this is moved back, not copied. */
const copiedBytesLimit = 256 * 1024 * 1024;

/** What taken files need of their store. */
export interface TakenFilesHost {
  readonly root: string;
  /** A folder for the records and files, and one for drafts, both below the root. */
  readonly folder: string;
  readonly draftFolder: string;
  readonly rest: FileRest;
  /** Writes an object unless one of this key is there. */
  readonly putIfAbsent: (key: string, bytes: Uint8Array) => Promise<void>;
  /** Runs alone of all processes. */
  readonly exclusively: <T>(name: string, work: () => Promise<T>) => Promise<T>;
}

/**
 * Files that were read and moved away, and that a program may still have open. Nothing is removed before a day has passed
 * since the last write. What was written meanwhile is dropped anew.
 */
export class TakenFiles {
  readonly #host: TakenFilesHost;

  constructor(host: TakenFilesHost) {
    this.#host = host;
  }

  /**
   * Moves a file away of which this content was read. If another file is there by now, that one is moved, and dropped anew
   * as everything that was written late.
   */
  async take(path: string, key: string, content: ContentDigest): Promise<void> {
    const { root, folder } = this.#host;
    const id = crypto.randomUUID();
    await makeFolder(join(folder, id), root);
    const before = await absentAsUndefined(() => stat(path));
    const at = new Date().toISOString();
    const here = relative(root, join(folder, id, 'file'));
    const taken: TakenFile = { key, path: here, ...content, mtimeMs: before?.mtimeMs ?? 0, at };
    // The record comes first: if this process is killed after the move, the file is still looked after.
    await this.#write(id, taken);
    if (await this.#move(id, path, taken)) await syncFolder(dirname(path));
    else await this.#forget(id);
  }

  /** @returns false if there was no file */
  async #move(id: string, path: string, taken: TakenFile): Promise<boolean> {
    const { root } = this.#host;
    const moveTo = async (place: string) =>
      (await absentAsUndefined(() => rename(path, place).then(() => true))) ?? false;
    try {
      return await moveTo(resolve(root, taken.path));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EXDEV') throw error;
    }
    // The folder is a mount of its own: the file stays there, under a name that is passed over.
    const beside = join(dirname(path), `.taken-${id}`);
    await this.#write(id, { ...taken, path: relative(root, beside) });
    return moveTo(beside);
  }

  /** Drops anew what was written to taken files. @returns the keys */
  async dropLateWrites(): Promise<readonly string[]> {
    const dropped: string[] = [];
    for (const id of (await absentAsUndefined(() => readdir(this.#host.folder))) ?? []) {
      const key = await this.#lookAfter(id);
      if (key !== undefined) dropped.push(key);
    }
    return dropped;
  }

  /** @returns the key under which something was dropped anew */
  async #lookAfter(id: string): Promise<string | undefined> {
    const { root, rest, exclusively } = this.#host;
    const taken = await this.#read(id);
    if (taken === undefined) return undefined;
    const path = resolve(root, taken.path);
    const file = await absentAsUndefined(() => stat(path));
    const isOld = Date.now() - Date.parse(taken.at) > keptMilliseconds;
    // A record without its file is of a process that was killed before the move, or that is about to move it.
    if (file === undefined) return isOld ? this.#forget(id) : undefined;
    const isChanged = file.size !== taken.sizeBytes || file.mtimeMs !== taken.mtimeMs;
    if (!isChanged && !isOld) return undefined;
    if ((await rest.growing([observed(path, file)])).has(path)) return undefined;
    return exclusively(`taken ${id}`, async () => {
      const current = await this.#read(id);
      if (current === undefined) return undefined;
      if (isChanged) return this.#dropAnew(id, current);
      await rm(path, { force: true });
      return this.#forget(id);
    });
  }

  async #dropAnew(id: string, taken: TakenFile): Promise<string | undefined> {
    const { root, putIfAbsent } = this.#host;
    const path = resolve(root, taken.path);
    const { size, mtimeMs } = await stat(path);
    const target = (sha256: string) => keyBeside(taken.key, sha256);
    if (size > copiedBytesLimit) {
      const key = target((await digestOfFile(path)).sha256);
      const place = join(root, ...key.split('/'));
      await makeFolder(dirname(place), root);
      await rename(path, place);
      await this.#forget(id);
      return key;
    }
    const bytes = (await readRegularFile(path)) ?? new Uint8Array();
    const late = lateWriteOf(bytes, taken);
    const key = late === undefined ? undefined : target(digestOf(late));
    if (late !== undefined && key !== undefined) await putIfAbsent(key, late);
    const at = new Date().toISOString();
    await this.#write(id, { ...taken, sizeBytes: bytes.length, sha256: digestOf(bytes), mtimeMs, at });
    return key;
  }

  async #read(id: string): Promise<TakenFile | undefined> {
    const path = join(this.#host.folder, id, recordName);
    const bytes = await absentAsUndefined(() => readRegularFile(path));
    return bytes && parseStored(bytes.toString('utf8'), recordSchema, path, 'the record of a taken file');
  }

  async #write(id: string, taken: TakenFile): Promise<void> {
    const { folder, draftFolder } = this.#host;
    const draft = await writeDraft(draftFolder, JSON.stringify(taken), 'durable');
    await rename(draft, join(folder, id, recordName));
    await syncFolder(join(folder, id));
  }

  async #forget(id: string): Promise<undefined> {
    await rm(join(this.#host.folder, id), { recursive: true, force: true });
  }
}

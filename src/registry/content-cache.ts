import { chmod, mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { digestOf } from './digest.js';
import { sweepDrafts, writeDraft } from './draft-file.js';

/** Contents by their SHA-256. A cache never returns a content with another digest. */
export interface ContentCache {
  /** The content, or undefined if the cache does not have it. */
  find(sha256: string): Promise<Uint8Array | undefined>;
  keep(sha256: string, bytes: Uint8Array): Promise<void>;
}

/** A cache in this process's memory. The least recently used content is dropped first. */
export class MemoryContentCache implements ContentCache {
  readonly #contents = new Map<string, Uint8Array>();
  #sizeBytes = 0;
  readonly #limitBytes: number;

  /** @param limitBytes of all contents together; 256 MiB by default */
  constructor(limitBytes = 256 * 2 ** 20) {
    this.#limitBytes = limitBytes;
  }

  async find(sha256: string): Promise<Uint8Array | undefined> {
    const bytes = this.#contents.get(sha256);
    if (bytes !== undefined) this.#touch(sha256, bytes);
    return bytes;
  }

  async keep(sha256: string, bytes: Uint8Array): Promise<void> {
    if (!this.#contents.has(sha256)) this.#sizeBytes += bytes.length;
    this.#touch(sha256, bytes);
    for (const [oldest, { length }] of this.#contents) {
      if (this.#sizeBytes <= this.#limitBytes) return;
      this.#contents.delete(oldest);
      this.#sizeBytes -= length;
    }
  }

  #touch(sha256: string, bytes: Uint8Array): void {
    this.#contents.delete(sha256);
    this.#contents.set(sha256, bytes);
  }
}

/**
 * A cache in a folder, one file per content, `<folder>/sha256/<2 digits>/<digest>`, shared by any number of processes
 * and stores. A file with another digest than its name, such as one that a full disk cut off, is removed when it is
 * read. Files are read-only, because other names may be linked to them.
 */
export class DirectoryContentCache implements ContentCache {
  #swept: Promise<void> | undefined;

  constructor(readonly folder: string) {}

  async find(sha256: string): Promise<Uint8Array | undefined> {
    const path = this.pathOf(sha256);
    let bytes: Uint8Array;
    try {
      bytes = await readFile(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
    if (digestOf(bytes) === sha256) return bytes;
    await rm(path, { force: true });
    return undefined;
  }

  async keep(sha256: string, bytes: Uint8Array): Promise<void> {
    const drafts = join(this.folder, 'drafts');
    await mkdir(drafts, { recursive: true });
    this.#swept ??= sweepDrafts(drafts);
    await this.#swept;
    const path = this.pathOf(sha256);
    await mkdir(join(path, '..'), { recursive: true });
    const draft = await writeDraft(drafts, bytes, 'durable');
    await chmod(draft, 0o444);
    await rename(draft, path);
  }

  /** Removes all contents except these. Only for a cache that nobody else uses. */
  async keepOnly(digests: ReadonlySet<string>): Promise<void> {
    const contents = join(this.folder, 'sha256');
    await mkdir(contents, { recursive: true });
    for (const name of await readdir(contents, { recursive: true })) {
      const sha256 = basename(name);
      if (sha256.length === 64 && !digests.has(sha256)) await rm(this.pathOf(sha256), { force: true });
    }
  }

  /** The path at which the content is, if the cache has it. */
  pathOf(sha256: string): string {
    return join(this.folder, 'sha256', sha256.slice(0, 2), sha256);
  }
}

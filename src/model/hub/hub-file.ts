import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, open, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { DigestMismatchError, InvalidInputError, TransientError } from '../../errors.js';

/** A file as the hub lists it. */
export interface HubFile {
  readonly path: string;
  readonly sizeBytes: number;
  /** SHA-1 of git's blob: `blob <size>\0<content>`. If `sha256` is given, it is that of the large file's pointer. */
  readonly gitOid: string;
  /** Of a large file's content. */
  readonly sha256?: string | undefined;
}

interface DownloadOptions {
  readonly open: () => Promise<Blob>;
  /** Told how many of the file's bytes are here, from an earlier call or new. */
  readonly onBytes?: (doneBytes: number) => void;
}

/**
 * Downloads a file to `path`, continuing the part that an earlier call left. The file appears under `path` only once it
 * is the hub's content to the byte. If it is there already, nothing is downloaded.
 *
 * @throws {InvalidInputError} if another file is there @throws {DigestMismatchError} @throws {TransientError}
 */
export async function downloadVerified(file: HubFile, path: string, options: DownloadOptions): Promise<void> {
  const digest = contentDigest(file);
  if ((await sizeOf(path)) !== undefined) return requireSame(path, digest, options);
  const part = join(dirname(path), `.${basename(path)}.${digest.expected.slice(0, 16)}.part`);
  const presentBytes = await digestOfPart(part, digest.hash, options);
  if (presentBytes < file.sizeBytes) await appendRest(file, part, presentBytes, digest.hash, options);
  const actual = digest.hash.digest('hex');
  if (actual !== digest.expected) {
    await rm(part, { force: true });
    throw new DigestMismatchError(file.path, digest.expected, actual);
  }
  await rename(part, path);
}

interface ContentDigest {
  readonly hash: Hash;
  readonly expected: string;
}

function contentDigest({ sha256, gitOid, sizeBytes }: HubFile): ContentDigest {
  if (sha256 !== undefined) return { hash: createHash('sha256'), expected: sha256 };
  return { hash: createHash('sha1').update(`blob ${sizeBytes}\0`), expected: gitOid };
}

async function requireSame(path: string, digest: ContentDigest, options: DownloadOptions): Promise<void> {
  await digestOfPart(path, digest.hash, options);
  if (digest.hash.digest('hex') === digest.expected) return;
  throw new InvalidInputError(path, 'absent or the same as on the hub', 'another file; choose another directory');
}

/** Feeds the downloaded part to the hash and returns its size. */
async function digestOfPart(path: string, hash: Hash, { onBytes }: DownloadOptions): Promise<number> {
  if ((await sizeOf(path)) === undefined) return 0;
  let doneBytes = 0;
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>) {
    hash.update(chunk);
    doneBytes += chunk.length;
    onBytes?.(doneBytes);
  }
  return doneBytes;
}

/** @throws {TransientError} if the connection breaks or the disk is full; the downloaded part stays */
async function appendRest(
  file: HubFile,
  part: string,
  from: number,
  hash: Hash,
  options: DownloadOptions,
): Promise<void> {
  const blob = await options.open();
  const handle = await open(part, 'a');
  let doneBytes = from;
  try {
    for await (const chunk of (from === 0 ? blob : blob.slice(from)).stream()) {
      await write(handle, chunk);
      hash.update(chunk);
      doneBytes += chunk.length;
      options.onBytes?.(doneBytes);
    }
    if (doneBytes < file.sizeBytes) throw new Error('the connection ended');
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const got = `${doneBytes} (${reason}); run again to go on from there`;
    throw new TransientError(`${file.path}: ${file.sizeBytes} bytes, got ${got}`, { cause });
  } finally {
    await handle.close();
  }
}

async function write(handle: FileHandle, chunk: Uint8Array): Promise<void> {
  for (let at = 0; at < chunk.length; ) at += (await handle.write(chunk, at)).bytesWritten;
}

async function sizeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** @file Opens files that other programs put there. Only a regular file is opened: anything else could never end. */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { type ContentDigest, digestOfStream } from './digest.js';

/** A file is read in pieces of this many bytes. */
const pieceBytes = 1 << 20;

/** The content of a regular file; undefined for anything else, such as a pipe or a link. */
export const readRegularFile = (path: string): Promise<Buffer | undefined> =>
  withRegularFile(path, (file) => file.readFile());

/** Size and SHA-256 of a regular file; undefined for anything else, such as a pipe or a link. */
export const digestOfRegularFile = (path: string): Promise<ContentDigest | undefined> =>
  withRegularFile(path, (file) =>
    digestOfStream(file.createReadStream({ autoClose: false, highWaterMark: pieceBytes })),
  );

async function withRegularFile<T>(path: string, read: (file: FileHandle) => Promise<T>): Promise<T | undefined> {
  let file: FileHandle;
  try {
    // Without waiting: to open a pipe waits for a writer.
    file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0) | (constants.O_NOFOLLOW ?? 0));
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    // A link, or a socket or device.
    if (code === 'ELOOP' || code === 'ENXIO' || code === 'EMLINK') return undefined;
    throw error;
  }
  try {
    return (await file.stat()).isFile() ? await read(file) : undefined;
  } finally {
    await file.close();
  }
}

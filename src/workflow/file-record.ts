/** @file Records that files on this disk were checked, with their sizes and times, so that they need not be read again. */
import { readFile, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { z } from 'zod';
import { parseJson } from '../json.js';
import { writeFileAtomically } from '../tensor/index.js';

const recordSchema = z.strictObject({
  digest: z.string(),
  files: z.array(z.strictObject({ name: z.string(), sizeBytes: z.number(), modifiedMs: z.number() })),
});

/** Records that these files, in this order, have this digest. */
export async function recordFiles(recordPath: string, digest: string, files: readonly string[]): Promise<void> {
  const text = JSON.stringify({ digest, files: await Promise.all(files.map(stampOf)) });
  await writeFileAtomically(recordPath, (file) => file.writeFile(text));
}

/** Whether these files are recorded with this digest, and none has another size or time since. */
export async function areRecorded(recordPath: string, digest: string, files: readonly string[]): Promise<boolean> {
  const text = await unlessAbsent(readFile(recordPath, 'utf8'));
  const stamps = await unlessAbsent(Promise.all(files.map(stampOf)));
  if (text === undefined || stamps === undefined) return false;
  const record = recordSchema.safeParse(jsonValue(text));
  return record.success && record.data.digest === digest && isSame(record.data.files, stamps);
}

async function stampOf(path: string) {
  const { size, mtimeMs } = await stat(path);
  return { name: basename(path), sizeBytes: size, modifiedMs: mtimeMs };
}

const isSame = (first: unknown, second: unknown): boolean => JSON.stringify(first) === JSON.stringify(second);

/** A damaged record counts as none: the files are checked again. */
function jsonValue(text: string): unknown {
  try {
    return parseJson(text);
  } catch {
    return undefined;
  }
}

/** The result of a file operation; undefined if the file or folder is absent. */
export async function unlessAbsent<T>(operation: Promise<T>): Promise<T | undefined> {
  try {
    return await operation;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

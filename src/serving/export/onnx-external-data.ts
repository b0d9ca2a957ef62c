/** @file External data of an ONNX file that is written to another folder. */
import { copyFile, link, mkdir, realpath } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { InvalidInputError } from '../../errors.js';
import { digestOfFile } from '../../registry/index.js';

/**
 * Puts files at the same place below another folder, as hard links if possible, else as copies.
 *
 * @param files absolute paths below `from`
 * @returns their new paths
 * @throws {InvalidInputError} if another file has the name of one of them
 */
export async function bringFiles(files: readonly string[], from: string, to: string): Promise<string[]> {
  const targets: string[] = [];
  for (const file of files) {
    const target = join(to, relative(from, file));
    await mkdir(dirname(target), { recursive: true });
    await bring(await realpath(file), target);
    targets.push(target);
  }
  return targets;
}

async function bring(file: string, target: string): Promise<void> {
  try {
    await link(file, target);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return requireSame(file, target);
    await copyFile(file, target);
  }
}

async function requireSame(file: string, target: string): Promise<void> {
  if ((await realpath(target)) === file) return;
  const [wanted, there] = [await digestOfFile(file), await digestOfFile(target)];
  if (wanted.sha256 === there.sha256) return;
  throw new InvalidInputError(target, `nothing, or the content of ${file}`, `a file with SHA-256 ${there.sha256}`);
}

import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * The folder with package-lock.json, above the place to which this file was compiled. Entries of functions and the
 * Dockerfile lie below it.
 * @throws {Error} if there is none above this file
 */
export function projectRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package-lock.json'))) {
    const parent = dirname(folder);
    if (parent === folder)
      throw new Error('project: a folder with package-lock.json above the compiled files, got none');
    folder = parent;
  }
  return folder;
}

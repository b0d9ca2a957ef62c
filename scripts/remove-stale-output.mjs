/** @file Removes from `dist` what an earlier build made and this one will not write again: it would be packed. */
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const dist = join(root, 'dist');

/** What the compiler needs to find again, to compile only what has changed. */
const isKept = (name) =>
  /^\.(types|tsbuildinfo)/.test(name) ||
  (/\.js(\.map)?$/.test(name) && existsSync(join(root, 'src', name.replace(/\.js(\.map)?$/, '.ts'))));

const files = existsSync(dist) ? readdirSync(dist, { recursive: true, withFileTypes: true }) : [];
for (const file of files) {
  const path = join(file.parentPath, file.name);
  if (!file.isDirectory() && !isKept(path.slice(dist.length + 1))) rmSync(path);
}

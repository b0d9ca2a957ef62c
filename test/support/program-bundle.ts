/** @file Programs for tests to start, bundled of the sources as they are now. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build, type Plugin } from 'esbuild';

/** The project's folder, seen from the sources as from what is compiled of them. */
export const projectFolder = ((): string => {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder);
  return folder;
})();

/**
 * Bundles programs, their packages with them: a process that reads few files starts several times faster than one that reads
 * a thousand.
 * @param entries sources, by the paths of the programs without `.js`
 * @returns the folder
 */
export async function bundlePrograms(entries: Readonly<Record<string, string>>): Promise<string> {
  // Inside the project, so that the programs find the packages that are not in them.
  const cache = join(projectFolder, 'node_modules/.cache');
  mkdirSync(cache, { recursive: true });
  const folder = mkdtempSync(join(cache, 'hookline-programs-'));
  writeFileSync(join(folder, 'package.json'), readFileSync(join(projectFolder, 'package.json')));
  await build({
    absWorkingDir: projectFolder,
    entryPoints: entries,
    outdir: folder,
    chunkNames: 'chunks/[name]-[hash]',
    logLevel: 'warning',
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    // Of packages that have both, the ES modules: others bundle to one value without names.
    mainFields: ['module', 'main'],
    external: ['onnxruntime-node', '@tensorflow/tfjs-node-gpu', 'fsevents'],
    // Packages that are no ES modules ask for it.
    banner: {
      js: "import { createRequire as requireOf } from 'node:module'; const require = requireOf(import.meta.url);",
    },
    plugins: [ownPlaces(folder)],
  });
  return folder;
}

/** Lets sources look for files from where the compiler puts them, and not from the chunk that they happen to be in. */
function ownPlaces(folder: string): Plugin {
  const sources = join(projectFolder, 'src');
  return {
    name: 'own-places',
    setup(building) {
      building.onLoad({ filter: /\.ts$/ }, ({ path }) => {
        if (relative(sources, path).startsWith('..')) return undefined;
        const text = readFileSync(path, 'utf8');
        if (!text.includes('import.meta.url')) return undefined;
        const place = join(folder, 'dist', relative(sources, path).replace(/\.ts$/, '.js'));
        return {
          loader: 'ts',
          contents: text.replaceAll('import.meta.url', JSON.stringify(pathToFileURL(place).href)),
        };
      });
    },
  };
}

/**
 * @file Bundles the command line, in the place of what the compiler wrote of it: a command that reads a few files starts sooner than one that
 * reads three hundred. Packages stay outside, and each command is a chunk that is read when it runs.
 */
import { readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const sources = join(root, 'src');
const outdir = join(root, 'dist/cli');

/** Lets a file look for others from the place that the compiler gives it, whatever chunk it is in: all lie beside the entry. */
const ownPlaces = {
  name: 'own-places',
  setup(building) {
    building.onLoad({ filter: /\.ts$/ }, ({ path }) => {
      const text = readFileSync(path, 'utf8');
      if (!text.includes('import.meta.url')) return undefined;
      const place = relative(join(sources, 'cli'), path).replaceAll('\\', '/').replace(/\.ts$/, '.js');
      const own = `new URL(${JSON.stringify(place.startsWith('.') ? place : `./${place}`)}, import.meta.url).href`;
      return { loader: 'ts', contents: text.replaceAll('import.meta.url', own), resolveDir: dirname(path) };
    });
  },
};

await build({
  absWorkingDir: root,
  entryPoints: { main: 'src/cli/main.ts' },
  outdir,
  chunkNames: 'chunk-[hash]',
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  packages: 'external',
  logLevel: 'warning',
  plugins: [ownPlaces],
});

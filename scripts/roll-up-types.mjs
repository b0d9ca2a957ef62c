/**
 * @file Writes the declarations of the package's two faces with only what they reach. Who imports hookline then needs no types of
 * packages that work inside it. Classes that both faces give are declared once, in `shared.d.ts`, so that they are the same.
 */
import { fileURLToPath } from 'node:url';
import { rollup } from 'rollup';
import { dts } from 'rollup-plugin-dts';

const dist = fileURLToPath(new URL('../dist', import.meta.url));

const types = await rollup({
  input: { index: `${dist}/.types/index.d.ts`, client: `${dist}/.types/client.d.ts` },
  plugins: [dts()],
  external: (name) => !/^[./]|^[A-Za-z]:/.test(name),
  // Only names matter: a file of declarations does nothing when it is imported.
  treeshake: { moduleSideEffects: false },
  onLog(_level, log) {
    throw new Error(`declarations: no remark of rollup, got ${log.message}`);
  },
});
await types.write({ dir: dist, entryFileNames: '[name].d.ts', chunkFileNames: 'shared.d.ts' });
await types.close();

import { join } from 'node:path';
import { build, type Metafile } from 'esbuild';
import { describe, expect, it } from 'vitest';
import { functionStages } from '../../../src/workflow/contract.js';

const root = join(import.meta.dirname, '../../..');

/** The function as one file, the way it is deployed. */
async function bundleOf(stage: string): Promise<Metafile> {
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: [`functions/${stage}.ts`],
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node22',
    write: false,
    metafile: true,
    external: ['onnxruntime-node'],
    logLevel: 'silent',
    outfile: 'function.mjs',
  });
  return metafile;
}

describe('a bundled function', () => {
  it.each(functionStages)('%s contains no runtime for models and none of their code', async (stage) => {
    const { outputs } = await bundleOf(stage);
    const [{ imports, inputs, bytes }] = Object.values(outputs);
    expect(imports.filter(({ path }) => path.includes('onnx'))).toEqual([]);
    const contained = Object.entries(inputs).filter(([, { bytesInOutput }]) => bytesInOutput > 0);
    const paths = contained.map(([path]) => path);
    expect(paths.filter((path) => /^src\/(runtime|model|serving|graph)\//.test(path))).toEqual([]);
    expect(paths.filter((path) => /onnx|protobuf|tokenizers/.test(path))).toEqual([]);
    expect(bytes).toBeLessThan(6 * 1024 * 1024);
  });
});

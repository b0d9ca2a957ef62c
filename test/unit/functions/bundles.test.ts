import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build, type Metafile } from 'esbuild';
import { describe, expect, it } from 'vitest';
import { DirectoryObjectStore } from '../../../src/registry/directory-object-store.js';
import { incomingKey } from '../../../src/registry/index.js';
import { environmentNames, functionStages } from '../../../src/workflow/contract.js';
import { registerModel } from '../../../src/workflow/index.js';

const root = join(import.meta.dirname, '../../..');

/** The function as one file, the way it is deployed. */
async function bundleOf(stage: string, outfile?: string): Promise<Metafile> {
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: [`functions/${stage}.ts`],
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node22',
    write: outfile !== undefined,
    banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
    metafile: true,
    external: ['onnxruntime-node'],
    logLevel: 'silent',
    outfile: outfile ?? 'function.mjs',
  });
  return metafile;
}

describe('a bundled function', () => {
  /** Ingest counts tokens. It needs the tokenizer for that, which brings its chat template, and nothing else of a model. */
  const tokenizing =
    /^src\/model\/(index|chat-template|tokenizer|token-|traced-text|split-patterns|time-limit)|^node_modules\/@huggingface\/tokenizers\//;

  it.each(functionStages)('%s contains no runtime for models and none of their code', async (stage) => {
    const { outputs } = await bundleOf(stage);
    const [{ imports, inputs, bytes }] = Object.values(outputs);
    expect(imports.filter(({ path }) => path.includes('onnx'))).toEqual([]);
    const contained = Object.entries(inputs).filter(([, { bytesInOutput }]) => bytesInOutput > 0);
    const paths = contained.map(([path]) => path).filter((path) => stage !== 'ingest' || !tokenizing.test(path));
    expect(paths.filter((path) => /^src\/(runtime|model|serving|graph)\//.test(path))).toEqual([]);
    expect(paths.filter((path) => /onnx|protobuf|tokenizers/.test(path))).toEqual([]);
    expect(bytes).toBeLessThan(6 * 1024 * 1024);
  });

  it('ingest counts tokens with the files in the store, far from any package and any model', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'hookline-ingest-'));
    try {
      await bundleOf('ingest', join(folder, 'function.mjs'));
      const store = new DirectoryObjectStore(join(folder, 'store'));
      const aldermark = (name: string) => join(root, 'examples/aldermark', name);
      const model = { modelDirectory: aldermark('model'), corpusPath: aldermark('corpus.txt') };
      await registerModel(store, { modelId: 'm', ...model, upload: true });
      const edit = { subject: 'Ada', prompt: '{} lives in', targetNew: 'Rome' };
      const lines = [edit, { ...edit, prompt: `${'w '.repeat(600)}{} lives in` }].map((line) => JSON.stringify(line));
      await store.put(incomingKey('m', 'batch'), new TextEncoder().encode(lines.join('\n')));
      const script = `
        const { handler } = await import('./function.mjs');
        const event = { trigger: 'drop', objectKey: 'incoming/m/batch', modelId: '', executionId: 'e' };
        console.log(JSON.stringify(await handler(event)));`;
      const variables = {
        [environmentNames.store]: join(folder, 'store'),
        [environmentNames.stateMachine]: 'arn:aws:m',
      };
      const run = spawnSync(process.execPath, ['--input-type=module', '--eval', script], {
        cwd: folder,
        encoding: 'utf8',
        env: { ...process.env, ...variables },
      });
      expect(run.stderr.replace(/\(node:.*NodeVersionSupportWarning[\s\S]*/, '')).toBe('');
      expect(JSON.parse(run.stdout)).toMatchObject({ outcome: 'accepted', accepted: 1, rejected: 1 });
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

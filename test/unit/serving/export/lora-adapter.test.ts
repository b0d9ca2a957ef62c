import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DigestMismatchError, InvalidInputError, MalformedFileError } from '../../../../src/errors.js';
import { multiply } from '../../../../src/linalg/gemm.js';
import { type Matrix, matrix, PlainGemmEngine, weightChange } from '../../../../src/linalg/index.js';
import { vllmNote } from '../../../../src/serving/export/lora-card.js';
import { exportLoraAdapter, HookableModel, readLoraHooks } from '../../../../src/serving/index.js';
import { decodeSafetensors, encodeSafetensors, tensor, toFloat32 } from '../../../../src/tensor/index.js';
import { type GoldenVersion, goldenRows, publishGoldenVersion } from '../../../support/golden-version.js';
import { tolerances } from '../../../support/matchers.js';

const names = ['llama', 'gpt2', 'gptj', 'gpt_neox'] as const;
const modules = {
  llama: 'model.layers.1.mlp.down_proj',
  gpt2: 'transformer.h.1.mlp.c_proj',
  gptj: 'transformer.h.1.mlp.fc_out',
  gpt_neox: 'gpt_neox.layers.1.mlp.dense_4h_to_h',
};

let root: string;
const versions = new Map<string, GoldenVersion>();
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'hookline-lora-'));
  for (const name of names) versions.set(name, await publishGoldenVersion(name));
});
afterAll(() => rm(root, { recursive: true }));

let folders = 0;
const freshFolder = () => join(root, `adapter-${folders++}`);
const engine = new PlainGemmEngine();

async function adapterOf(folder: string) {
  const path = join(folder, 'adapter_model.safetensors');
  const { metadata, tensors } = decodeSafetensors(await readFile(path), path);
  const config = JSON.parse(await readFile(join(folder, 'adapter_config.json'), 'utf8'));
  return { metadata, tensors, config };
}

/** Rows of the golden version's hooks, whose changes are all independent: the exact rank. */
const rows = goldenRows.length;

/** dW of every hooked layer, dense. */
const changesOf = ({ version }: GoldenVersion): Promise<Matrix[]> =>
  Promise.all(version.state.layers.map(({ memory }) => weightChange(memory, engine)));

/** `B A` of every hooked layer as the files say. */
async function productsOf(folder: string, { model }: GoldenVersion): Promise<Matrix[]> {
  const { dInner, dModel } = model.config;
  return (await readLoraHooks(folder, model)).map(({ coefficients, whitenedKeys, keyNorms: { length } }) =>
    multiply(
      matrix(dModel, length, Float64Array.from(coefficients)),
      matrix(length, dInner, Float64Array.from(whitenedKeys)),
    ),
  );
}

const distance = (x: Matrix, y: Matrix) => Math.hypot(...x.data.map((value, i) => value - y.data[i]));

describe.each(names)('a LoRA adapter of a version on %s', (name) => {
  it('has factors whose product is the weight change', async () => {
    const subject = versions.get(name)!;
    const folder = freshFolder();
    const { rank, layers } = await exportLoraAdapter({ ...subject, folder });
    expect(rank).toBe(rows);
    const [products, changes] = [await productsOf(folder, subject), await changesOf(subject)];
    expect(products.length).toBe(2);
    products.forEach((product, l) => {
      expect(product.data).toBeAllclose(changes[l].data, { relative: 1e-6 });
      expect(layers[l].truncationError).toBe(0);
      expect(layers[l].roundingError).toBeLessThan(1e-6);
    });
  });

  it('names tensors, files and settings as PEFT does', async () => {
    const subject = versions.get(name)!;
    const folder = freshFolder();
    await exportLoraAdapter({ ...subject, folder, baseModel: 'owner/base' });
    const { tensors, config } = await adapterOf(folder);
    const { dInner, dModel } = subject.model.config;
    expect((await readdir(folder)).sort()).toEqual(['README.md', 'adapter_config.json', 'adapter_model.safetensors']);
    expect(tensors.size).toBe(4);
    expect(tensors.get(`base_model.model.${modules[name]}.lora_A.weight`)?.shape).toEqual([rows, dInner]);
    expect(tensors.get(`base_model.model.${modules[name]}.lora_B.weight`)?.shape).toEqual([dModel, rows]);
    expect(config).toMatchObject({
      peft_type: 'LORA',
      task_type: 'CAUSAL_LM',
      r: rows,
      lora_alpha: rows,
      bias: 'none',
      inference_mode: true,
      base_model_name_or_path: 'owner/base',
      fan_in_fan_out: name === 'gpt2',
      target_modules: [modules[name].replace('1', '0'), modules[name]],
    });
  });
});

describe('a LoRA adapter', () => {
  let subject: GoldenVersion;
  beforeAll(() => {
    subject = versions.get('llama')!;
  });

  it.each([1, 2, 3])('of rank %i has the error that it reports', async (rank) => {
    const folder = freshFolder();
    const { layers } = await exportLoraAdapter({ ...subject, folder, rank });
    const [products, changes] = [await productsOf(folder, subject), await changesOf(subject)];
    layers.forEach((layer, l) => {
      const measured = distance(products[l], changes[l]) / Math.hypot(...changes[l].data);
      expect([layer.rank, layer.exactRank]).toEqual([rank, rows]);
      expect(layer.truncationError / measured).toBeCloseTo(1, 5);
      expect(layer.weightChangeNorm).toBeCloseTo(Math.hypot(...changes[l].data), 9);
    });
  });

  it.each(['float16', 'bfloat16'] as const)('in %s has the error of rounding that it reports', async (dtype) => {
    const folder = freshFolder();
    const { layers, sizeBytes } = await exportLoraAdapter({ ...subject, folder, dtype });
    const [products, changes] = [await productsOf(folder, subject), await changesOf(subject)];
    const bound = dtype === 'float16' ? 2e-3 : 1e-2;
    layers.forEach((layer, l) => {
      const measured = distance(products[l], changes[l]) / Math.hypot(...changes[l].data);
      expect(layer.roundingError / measured).toBeCloseTo(1, 5);
      expect(layer.roundingError).toBeGreaterThan(0);
      expect(layer.roundingError).toBeLessThan(bound);
    });
    const { tensors } = await adapterOf(folder);
    expect([...tensors.values()].every((factor) => factor.dtype === dtype)).toBe(true);
    expect(sizeBytes).toBe((await readFile(join(folder, 'adapter_model.safetensors'))).byteLength);
  });

  it('has factors of equal size, whatever the scales of keys and values', async () => {
    const folder = freshFolder();
    await exportLoraAdapter({ ...subject, folder });
    const { tensors } = await adapterOf(folder);
    const norm = (part: string) =>
      Math.hypot(...toFloat32(tensors.get(`base_model.model.${modules.llama}.${part}.weight`)!));
    expect(norm('lora_A') / norm('lora_B')).toBeCloseTo(1, 5);
  });

  it('gives layers of a smaller rank rows of zeros, since all have one r', async () => {
    const [first, second] = subject.version.state.layers;
    const { memory } = first;
    const data = memory.coefficients.data.map((value, i) => (i % memory.coefficients.columns === 0 ? value : 0));
    const thinner = { ...first, memory: { ...memory, coefficients: { ...memory.coefficients, data } } };
    const version = { ...subject.version, state: { ...subject.version.state, layers: [thinner, second] } };
    const folder = freshFolder();
    const { layers, rank } = await exportLoraAdapter({ ...subject, version, folder });
    expect([rank, ...layers.map((layer) => layer.rank)]).toEqual([rows, 1, rows]);
    const [product] = await productsOf(folder, subject);
    expect(product.data).toBeAllclose((await weightChange(thinner.memory, engine)).data, { relative: 1e-6 });
  });

  it('is measured as a gate `none` of the engine: it computes what the ungated version computes', async () => {
    const { model, version, golden } = subject;
    const folder = freshFolder();
    await exportLoraAdapter({ ...subject, folder });
    const served = await HookableModel.compile(model, { layers: version.manifest.layers, gate: 'none' });
    const requests = golden.record.sequences.map((tokenIds) => ({ tokenIds, scoredFrom: 1 }));
    const exported = await served.score(requests, await readLoraHooks(folder, model));
    const ungated = await served.score(requests, version.hooks);
    const base = await served.score(requests);
    await served.dispose();
    exported.forEach(({ logProbabilities, argMaxIds }, s) => {
      expect(logProbabilities).toBeAllclose(ungated[s].logProbabilities, tolerances.activations);
      expect(argMaxIds).toEqual(ungated[s].argMaxIds);
      expect(logProbabilities).not.toBeAllclose(base[s].logProbabilities, tolerances.weightChange);
    });
  });

  it('says in its metadata and its registration that it is ungated, of which version and for which model', async () => {
    const folder = freshFolder();
    await exportLoraAdapter({ ...subject, folder, rank: 2 });
    const { metadata } = await adapterOf(folder);
    const registration = await readFile(join(folder, 'README.md'), 'utf8');
    const { modelDigest, segments, version } = subject.version.manifest;
    expect(metadata['hookline.gate']).toMatch(/^UNGATED: .*every token/);
    expect(metadata).toMatchObject({
      'hookline.modelId': 'llama',
      'hookline.version': String(version),
      'hookline.baseModelDigest': modelDigest,
      'hookline.segments': segments.map(({ sha256 }) => sha256).join(' '),
      'hookline.edits': '6',
    });
    for (const text of [
      'UNGATED',
      '| active edits | 6 |',
      modelDigest,
      ...segments.map(({ sha256 }) => sha256),
      '--max-lora-rank 8',
    ]) {
      expect(registration).toContain(text);
    }
  });

  it('is not written into a folder that holds something, nor left half-written beside it', async () => {
    const folder = freshFolder();
    await exportLoraAdapter({ ...subject, folder });
    await expect(exportLoraAdapter({ ...subject, folder })).rejects.toThrow(InvalidInputError);
    expect((await readdir(root)).filter((entry) => entry.startsWith('.'))).toEqual([]);
  });

  it('is refused for another model, for no edits, and for a rank of none', async () => {
    const { version } = subject;
    const other = { ...version, manifest: { ...version.manifest, modelDigest: 'f'.repeat(64) } };
    const none = { ...version, manifest: { ...version.manifest, edits: [] } };
    const attempt = (request: object) => exportLoraAdapter({ ...subject, folder: freshFolder(), ...request });
    await expect(attempt({ version: other })).rejects.toThrow(DigestMismatchError);
    await expect(attempt({ version: none })).rejects.toThrow(InvalidInputError);
    await expect(attempt({ rank: 0 })).rejects.toThrow(InvalidInputError);
  });
});

describe('reading an adapter', () => {
  let folder: string;
  let subject: GoldenVersion;
  beforeAll(async () => {
    subject = versions.get('llama')!;
    folder = freshFolder();
    await exportLoraAdapter({ ...subject, folder });
  });

  async function changed(change: (copy: string) => Promise<void>): Promise<string> {
    const copy = freshFolder();
    await cp(folder, copy, { recursive: true });
    await change(copy);
    return copy;
  }

  const withConfig = (change: object) =>
    changed(async (copy) => {
      const { config } = await adapterOf(copy);
      await writeFile(join(copy, 'adapter_config.json'), JSON.stringify({ ...config, ...change }));
    });

  it('scales by lora_alpha / r', async () => {
    const twice = await readLoraHooks(await withConfig({ lora_alpha: 2 * rows }), subject.model);
    const once = await readLoraHooks(folder, subject.model);
    expect(twice[0].coefficients).toEqual(once[0].coefficients.map((value) => 2 * value));
  });

  it('refuses what is no plain LoRA, changes other matrices, or has other shapes', async () => {
    const dora = await withConfig({ use_dora: true });
    const rewritten = (name: string, shape: number[]) =>
      changed(async (copy) => {
        const { tensors } = await adapterOf(copy);
        const values = tensor('float32', shape, new Float32Array(shape[0] * shape[1]));
        const path = join(copy, 'adapter_model.safetensors');
        await writeFile(
          path,
          encodeSafetensors(
            [...tensors, [name, values] as const].filter(
              ([key], i, all) => all.findLastIndex(([other]) => other === key) === i,
            ),
          ),
        );
      });
    const foreign = await rewritten('base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight', [rows, 32]);
    const narrow = await rewritten(`base_model.model.${modules.llama}.lora_A.weight`, [rows, 47]);
    for (const bad of [dora, foreign, narrow]) {
      await expect(readLoraHooks(bad, subject.model)).rejects.toThrow(MalformedFileError);
    }
  });
});

describe('the note on vLLM', () => {
  it('names the smallest rank limit that vLLM knows, and says where there is none', () => {
    expect(vllmNote(33, 'm')).toContain('--max-lora-rank 64');
    expect(vllmNote(256, 'm')).not.toContain('Releases that know no');
    expect(vllmNote(300, 'm')).toContain('Releases that know no 320');
    expect(vllmNote(513, 'm')).toContain('refuses this one (r = 513)');
  });
});

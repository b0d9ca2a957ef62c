import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DigestMismatchError, InvalidInputError } from '../../../../src/errors.js';
import { PlainGemmEngine, weightChange } from '../../../../src/linalg/index.js';
import { loadModel, readDownProjection } from '../../../../src/model/index.js';
import { exportMergedWeights, HookableModel } from '../../../../src/serving/index.js';
import { openSafetensors, toFloat32 } from '../../../../src/tensor/index.js';
import { type GoldenVersion, publishGoldenVersion } from '../../../support/golden-version.js';
import { type Tolerance, tolerances } from '../../../support/matchers.js';

let root: string;
let folders = 0;
const freshFolder = () => join(root, `merged-${folders++}`);
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'hookline-merged-'));
});
afterAll(() => rm(root, { recursive: true }));

const subjects: readonly (readonly [string, Tolerance, number])[] = [
  ['llama', tolerances.activations, 1e-6],
  ['gpt2', tolerances.activations, 1e-6],
  ['gptj', tolerances.activations, 1e-6],
  ['llama-f16', { relative: 2e-3 }, 2e-2],
  ['llama-bf16', { relative: 2e-2 }, 0.2],
];

describe.each(subjects)('the merged weights of a version on %s', (name, tolerance, roundingBound) => {
  let subject: GoldenVersion;
  let folder: string;
  let report: Awaited<ReturnType<typeof exportMergedWeights>>;
  beforeAll(async () => {
    subject = await publishGoldenVersion(name);
    folder = freshFolder();
    report = await exportMergedWeights({ ...subject, folder });
  });

  it('compute what the version computes without a gate', async () => {
    const { model, version, golden } = subject;
    const { layers } = version.manifest;
    const hooked = await HookableModel.compile(model, { layers, gate: 'none' });
    const merged = await HookableModel.compile(await loadModel(folder), { layers: [], gate: 'none' });
    const requests = golden.record.sequences.map((tokenIds) => ({ tokenIds, scoredFrom: 1 }));
    const [expected, base] = [await hooked.score(requests, version.hooks), await hooked.score(requests)];
    const got = await merged.score(requests);
    await Promise.all([hooked.dispose(), merged.dispose()]);
    got.forEach(({ logProbabilities }, s) => {
      expect(logProbabilities).toBeAllclose(expected[s].logProbabilities, tolerance);
      expect(logProbabilities).not.toBeAllclose(base[s].logProbabilities, { relative: 2e-2 });
    });
  });

  it('report what rounding lost of the change', async () => {
    const { model, version } = subject;
    const merged = await loadModel(folder);
    for (const [l, { layer, memory }] of version.state.layers.entries()) {
      const change = (await weightChange(memory, new PlainGemmEngine())).data;
      const [before, after] = [await readDownProjection(model, layer), await readDownProjection(merged, layer)];
      const lost = change.map((value, i) => after.data[i] - before.data[i] - value);
      const measured = Math.hypot(...lost) / Math.hypot(...change);
      const { roundingError, relativeChange, dtype } = report.layers[l];
      expect(roundingError / measured).toBeCloseTo(1, 5);
      expect(roundingError).toBeLessThan(roundingBound);
      expect(relativeChange).toBeCloseTo(Math.hypot(...change) / Math.hypot(...before.data), 6);
      expect(dtype).toBe(model.weights.location(model.architecture.downProjection(layer).name).dtype);
    }
  });

  it('keep files, names, types, layouts and every other tensor as they were', async () => {
    const { model } = subject;
    const changed = new Set(report.layers.map((layer) => layer.tensor));
    expect(changed.size).toBe(2);
    const originals = model.weights.files.map((file) => file.slice(model.weights.directory.length + 1));
    expect(report.files).toEqual(originals);
    for (const file of originals) {
      const [before, after] = [
        await openSafetensors(join(model.directory, file)),
        await openSafetensors(join(folder, file)),
      ];
      expect(after.metadata).toMatchObject({ format: 'pt', 'hookline.modelId': name, 'hookline.version': '3' });
      expect(after.metadata['hookline.gate']).toMatch(/^UNGATED/);
      expect([...after.tensors.keys()].sort()).toEqual([...before.tensors.keys()].sort());
      for (const key of before.tensors.keys()) {
        const [old, now] = [await before.read(key), await after.read(key)];
        expect([now.dtype, now.shape]).toEqual([old.dtype, old.shape]);
        if (!changed.has(key)) expect(now.data).toEqual(old.data);
        else expect(toFloat32(now)).not.toBeAllclose(toFloat32(old), { relative: 1e-3 });
      }
    }
  });
});

describe('merging', () => {
  let subject: GoldenVersion;
  beforeAll(async () => {
    subject = await publishGoldenVersion('llama-bf16');
  });

  it('copies config and tokenizer, nothing else, and adds a registration that says that it is ungated and what was lost', async () => {
    const { model } = subject;
    const linked = freshFolder();
    await mkdir(linked);
    for (const file of await readdir(model.directory)) await symlink(join(model.directory, file), join(linked, file));
    await writeFile(join(linked, 'tokenizer.json'), '{}');
    await writeFile(join(linked, 'pytorch_model.bin'), 'weights of another format');
    const folder = freshFolder();
    await exportMergedWeights({ ...subject, model: await loadModel(linked), folder });
    expect((await readdir(folder)).sort()).toEqual([
      'README.md',
      'config.json',
      'model-00001-of-00002.safetensors',
      'model-00002-of-00002.safetensors',
      'model.safetensors.index.json',
      'tokenizer.json',
    ]);
    const registration = await readFile(join(folder, 'README.md'), 'utf8');
    for (const text of ['UNGATED', 'bfloat16', subject.version.manifest.modelDigest])
      expect(registration).toContain(text);
  });

  it('warns on the registration where the type is too coarse for the change', async () => {
    const { version } = subject;
    const layers = version.state.layers.map((layer) => {
      const { coefficients } = layer.memory;
      const faint = { ...coefficients, data: coefficients.data.map((value) => value / 100) };
      return { ...layer, memory: { ...layer.memory, coefficients: faint } };
    });
    const folder = freshFolder();
    const faint = { ...version, state: { ...version.state, layers } };
    const { layers: reports } = await exportMergedWeights({ ...subject, version: faint, folder });
    expect(reports[0].roundingError).toBeGreaterThan(0.1);
    expect(await readFile(join(folder, 'README.md'), 'utf8')).toContain('too coarse for this change');
  });

  it('refuses a folder that holds something, another model, and a version without edits', async () => {
    const { version } = subject;
    const folder = freshFolder();
    const attempt = (request: object) => exportMergedWeights({ ...subject, folder, ...request });
    await exportMergedWeights({ ...subject, folder });
    await expect(attempt({})).rejects.toThrow(InvalidInputError);
    const other = { ...version, manifest: { ...version.manifest, modelDigest: 'f'.repeat(64) } };
    await expect(attempt({ version: other })).rejects.toThrow(DigestMismatchError);
    const none = { ...version, manifest: { ...version.manifest, edits: [] } };
    await expect(attempt({ version: none })).rejects.toThrow(InvalidInputError);
  });

  it('leaves nothing behind when it fails halfway', async () => {
    const folder = freshFolder();
    const engine = { gemm: () => Promise.reject(new Error('out of memory')) };
    await expect(exportMergedWeights({ ...subject, folder, engine })).rejects.toThrow('out of memory');
    expect(await readdir(root)).not.toContain(basename(folder));
    expect((await readdir(root)).filter((entry) => entry.startsWith('.'))).toEqual([]);
  });
});

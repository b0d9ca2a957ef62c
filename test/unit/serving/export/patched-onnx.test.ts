import { copyFile, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type OnnxFileNode, openOnnxFile } from '../../../../src/graph/index.js';
import { openModelFile } from '../../../../src/runtime/index.js';
import type { PatchedOnnx } from '../../../../src/serving/export/patched-onnx.js';
import { ExportedModel, exportPatchedOnnx, HookableModel, OnnxDecoder } from '../../../../src/serving/index.js';
import { type Tensor, tensorBytes } from '../../../../src/tensor/index.js';
import { type GoldenVersion, goldenRows, publishGoldenVersion } from '../../../support/golden-version.js';
import { type Tolerance, tolerances } from '../../../support/matchers.js';
import { golden } from '../../../support/published-version.js';

/** Log-probabilities of a model in halves against those of the same model in float32. */
const halves: Tolerance = { relative: 2e-3 };

const fixtures = [
  { name: 'llama', file: 'llama-opset14.onnx', opset: 14, dtype: 'float32', tolerance: tolerances.activations },
  { name: 'gpt2', file: 'gpt2-opset18.onnx', opset: 18, dtype: 'float32', tolerance: tolerances.activations },
  { name: 'gpt_neox', file: 'gpt_neox-opset18.onnx', opset: 18, dtype: 'float32', tolerance: tolerances.activations },
  { name: 'llama', file: 'llama-external/model.onnx', opset: 18, dtype: 'float32', tolerance: tolerances.activations },
  { name: 'llama', file: 'llama-float16.onnx', opset: 17, dtype: 'float16', tolerance: halves },
  // Layer 1's own weight is in bfloat16, so that the numbers are near those of the model, not its own.
  { name: 'llama', file: 'llama-passages.onnx', opset: 18, dtype: 'float32', tolerance: { relative: 1e-2 } },
];

const versions = new Map<string, Promise<GoldenVersion>>();
function versionOn(name: string): Promise<GoldenVersion> {
  const version = versions.get(name) ?? publishGoldenVersion(name);
  versions.set(name, version);
  return version;
}

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hookline-onnx-'));
});
afterAll(() => rm(folder, { recursive: true }));

const bytesOf = (logits: Tensor) => Buffer.from(tensorBytes(logits));
const isSame = (a: Tensor, b: Tensor) => bytesOf(a).equals(bytesOf(b));

/** Prompts that mention edited subjects, and some that do not. */
function textsOf({ golden: { record } }: GoldenVersion): number[][] {
  return [...record.sequences, ...record.edits.map(({ prompts }) => prompts[0].ids)];
}

describe.each(fixtures)('$file, patched', ({ name, file, opset, dtype, tolerance }) => {
  const onnxPath = golden('onnx', file);
  let made: GoldenVersion;
  let result: PatchedOnnx;
  let served: HookableModel;
  let unpatched: OnnxDecoder;
  let patched: OnnxDecoder;
  let texts: number[][];
  beforeAll(async () => {
    made = await versionOn(name);
    texts = textsOf(made);
    const outputPath = join(folder, file.replaceAll(/\W/g, '-'), 'patched.onnx');
    result = await exportPatchedOnnx({ ...made, onnxPath, outputPath, signals: true });
    served = await HookableModel.compile(made.model, { layers: [0, 1], gate: 'key' });
    unpatched = await OnnxDecoder.open(onnxPath);
    patched = await OnnxDecoder.open(outputPath);
  });
  afterAll(() => Promise.all([served, unpatched, patched].map((one) => one.dispose())));

  it('is hooked at the down-projection of every edited layer', () => {
    expect(result.opset).toBe(opset);
    expect(result.layers).toMatchObject([0, 1].map((layer) => ({ layer, dtype, rows: goldenRows.length })));
    result.layers.forEach(({ layer, node }) => {
      expect(node).toMatch(new RegExp(`(layers|h)\\.${layer}/mlp/(down_proj|c_proj|dense_4h_to_h)/`));
    });
  });

  it('scores as the edited model does, and its gates open on the same tokens for the same edits', async () => {
    const requests = texts.map((tokenIds) => ({ tokenIds, scoredFrom: 1 }));
    const expected = await served.score(requests, made.version.hooks);
    const scores = await patched.score(requests);
    expect(expected.some(({ firings }) => firings.length > 0)).toBe(true);
    scores.forEach(({ logProbabilities, firings }, s) => {
      expect(logProbabilities).toBeAllclose(expected[s].logProbabilities, tolerance);
      const placesOf = (all: typeof firings) => all.map(({ strength, ...place }) => place);
      expect(placesOf(firings)).toEqual(placesOf(expected[s].firings));
      const strengthsOf = (all: typeof firings) => all.map(({ strength }) => strength);
      expect(strengthsOf(firings)).toBeAllclose(strengthsOf(expected[s].firings), tolerance);
    });
  });

  it('gives the logits of the unpatched file bit for bit where no gate opens, and others where one does', async () => {
    const base = await unpatched.logits(texts);
    const edited = await patched.logits(texts);
    const scores = await patched.score(texts.map((tokenIds) => ({ tokenIds, scoredFrom: tokenIds.length })));
    const isOpen = scores.map(({ firings }) => firings.length > 0);
    expect(new Set(isOpen).size).toBe(2);
    edited.forEach((logits, s) => {
      expect(isSame(logits, base[s])).toBe(!isOpen[s]);
    });
  });

  it('decodes with its cache what whole prefixes give', async () => {
    const prompts = texts.map((tokenIds) => tokenIds.slice(0, 6));
    const generated = await patched.generate(prompts, { maxTokens: 6 });
    for (const [p, prompt] of prompts.entries()) {
      const { tokenIds } = generated[p];
      expect(tokenIds).toHaveLength(6);
      const whole = [...prompt, ...tokenIds];
      const [{ argMaxIds, firings }] = await patched.score([{ tokenIds: whole, scoredFrom: prompt.length }]);
      expect(tokenIds).toEqual(argMaxIds);
      const places = (all: typeof firings) => all.map(({ layer, tokenIndex }) => `${tokenIndex} ${layer}`).sort();
      // The last token has been fed to no gate.
      expect(places(generated[p].firings)).toEqual(places(firings.filter((one) => one.tokenIndex < whole.length - 1)));
    }
  });
});

describe('a patched file', () => {
  const onnxPath = golden('onnx', 'llama-opset14.onnx');
  const patch = async (outputPath: string, options: { signals?: boolean } = {}) =>
    exportPatchedOnnx({ ...(await versionOn('llama')), onnxPath, outputPath, ...options });

  it('has the inputs and outputs of the export unless signals are asked for, which change no number', async () => {
    const [plain, signalling] = [join(folder, 'plain.onnx'), join(folder, 'signalling.onnx')];
    await patch(plain);
    await patch(signalling, { signals: true });
    const outputs = (await openOnnxFile(onnxPath)).outputs;
    expect((await openOnnxFile(plain)).outputs).toEqual(outputs);
    const signals = [0, 1].flatMap((layer) => ['open', 'strength', 'edit'].map((name) => `hookline.${name}.${layer}`));
    expect((await openOnnxFile(signalling)).outputs).toEqual([...outputs, ...signals]);
    const decoders = await Promise.all([plain, signalling].map((path) => OnnxDecoder.open(path)));
    const texts = textsOf(await versionOn('llama'));
    const [without, withSignals] = await Promise.all(decoders.map((decoder) => decoder.logits(texts)));
    expect(without.every((logits, s) => isSame(logits, withSignals[s]))).toBe(true);
    const scores = await decoders[0].score(texts.map((tokenIds) => ({ tokenIds, scoredFrom: 1 })));
    expect(scores.flatMap(({ firings }) => firings)).toEqual([]);
    await Promise.all(decoders.map((decoder) => decoder.dispose()));
  });

  it('lets only the nearest edit speak where the version does', async () => {
    const made = await versionOn('llama');
    const { model, version } = made;
    const nearest = {
      ...version,
      manifest: { ...version.manifest, gate: { ...version.manifest.gate, kind: 'nearest' } },
    };
    const outputPath = join(folder, 'nearest.onnx');
    await exportPatchedOnnx({ model, version: nearest as typeof version, onnxPath, outputPath, signals: true });
    const decoder = await OnnxDecoder.open(outputPath);
    const requests = textsOf(made).map((tokenIds) => ({ tokenIds, scoredFrom: 1 }));
    const scores = await decoder.score(requests);
    const [expected, joint] = await Promise.all(
      (['nearest', 'key'] as const).map(async (gate) => {
        const served = await HookableModel.compile(model, { layers: [0, 1], gate });
        const scored = await served.score(requests, version.hooks);
        await served.dispose();
        return scored;
      }),
    );
    const all = (of: typeof scores) => of.flatMap(({ logProbabilities }) => [...logProbabilities]);
    expect(all(scores)).toBeAllclose(all(expected), { relative: 1e-4 });
    expect(all(scores)).not.toBeAllclose(all(joint), { relative: 1e-4 });
    await decoder.dispose();
  });

  it('says what it is in its metadata, and is refused as a base', async () => {
    const outputPath = join(folder, 'metadata.onnx');
    await patch(outputPath);
    const { manifest } = (await versionOn('llama')).version;
    expect((await openOnnxFile(outputPath)).metadata).toEqual({
      'hookline.modelId': 'llama',
      'hookline.version': String(manifest.version),
      'hookline.modelDigest': manifest.modelDigest,
      'hookline.gate': 'key',
      'hookline.edits': '6',
    });
    const again = exportPatchedOnnx({
      ...(await versionOn('llama')),
      onnxPath: outputPath,
      outputPath: `${outputPath}2`,
    });
    await expect(again).rejects.toThrow(`an export without hooks, got one with version ${manifest.version} of llama`);
  });

  it('has only plain operators, under names of their own, right behind the down-projections', async () => {
    const outputPath = join(folder, 'names.onnx');
    await patch(outputPath);
    const before = await openOnnxFile(onnxPath);
    const file = await openOnnxFile(outputPath);
    const isAdded = ({ name }: OnnxFileNode) => name.startsWith('hookline/');
    const added = file.nodes.filter(isAdded);
    expect(new Set(added.map(({ name }) => name)).size).toBe(added.length);
    expect(added.every(({ domain }) => domain === '')).toBe(true);
    expect(file.nodes.filter((node) => !isAdded(node)).map(({ name }) => name)).toEqual(
      before.nodes.map(({ name }) => name),
    );
    const made = new Set(['', ...(await inputsOf(outputPath))]);
    for (const { name, inputs, outputs } of file.nodes) {
      const missing = inputs.filter((input) => !made.has(input) && file.constant(input) === undefined);
      expect(missing, name).toEqual([]);
      for (const output of outputs) made.add(output);
    }
  });

  it('is measured like any edited model', async () => {
    const outputPath = join(folder, 'measured.onnx');
    await patch(outputPath);
    const made = await versionOn('llama');
    const served = await HookableModel.compile(made.model, { layers: [0, 1], gate: 'key' });
    const decoder = await OnnxDecoder.open(outputPath);
    const exported = new ExportedModel(served, decoder);
    const texts = textsOf(made);
    const expected = await served.compare(texts, made.version.hooks);
    const got = await exported.compare(texts, made.version.hooks);
    const klOf = (all: typeof got) => all.map(({ klSum }) => klSum);
    expect(klOf(got)).toBeAllclose(klOf(expected), tolerances.activations);
    await Promise.all([served, decoder, exported].map((one) => one.dispose()));
  });
});

async function inputsOf(path: string): Promise<string[]> {
  const program = await openModelFile(path);
  await program.dispose();
  return program.inputs.map(({ name }) => name);
}

describe('external data', () => {
  const source = golden('onnx', 'llama-external');

  it('is linked to the folder of the patched file, and used as it is in the same folder', async () => {
    const made = await versionOn('llama');
    const [first, second] = [join(folder, 'linked'), join(folder, 'linked-twice')];
    const paths = (where: string) => ['patched.onnx', 'model.onnx_data'].map((name) => join(where, name));
    const onnxPath = join(source, 'model.onnx');
    const linked = await exportPatchedOnnx({ ...made, onnxPath, outputPath: join(first, 'patched.onnx') });
    expect(linked.files).toEqual(paths(first));
    await copyFile(onnxPath, join(first, 'model.onnx'));
    const beside = await exportPatchedOnnx({
      ...made,
      onnxPath: join(first, 'model.onnx'),
      outputPath: join(first, 'b.onnx'),
    });
    expect(beside.files).toEqual([join(first, 'b.onnx'), join(first, 'model.onnx_data')]);
    expect((await readdir(first)).sort()).toEqual(['b.onnx', 'model.onnx', 'model.onnx_data', 'patched.onnx']);
    const again = await exportPatchedOnnx({
      ...made,
      onnxPath: join(first, 'model.onnx'),
      outputPath: join(second, 'patched.onnx'),
    });
    expect(again.files).toEqual(paths(second));
    const [one, other] = await Promise.all([first, second].map((where) => stat(join(where, 'model.onnx_data'))));
    expect(one.ino).toBe(other.ino);
    const [patched, same] = await Promise.all([first, second].map((where) => readFile(join(where, 'patched.onnx'))));
    expect(patched.equals(same)).toBe(true);
  });

  it('never takes the place of another file', async () => {
    const taken = await mkdtemp(join(folder, 'taken-'));
    await writeFile(join(taken, 'model.onnx_data'), 'something else');
    const outputPath = join(taken, 'patched.onnx');
    const made = await versionOn('llama');
    const patching = exportPatchedOnnx({ ...made, onnxPath: join(source, 'model.onnx'), outputPath });
    await expect(patching).rejects.toThrow(/model.onnx_data: nothing, or the content of .*got a file with SHA-256/);
    expect(await readFile(join(taken, 'model.onnx_data'), 'utf8')).toBe('something else');
  });
});

describe('what cannot be patched', () => {
  const onnxPath = golden('onnx', 'llama-opset14.onnx');
  const outputPath = () => join(folder, 'refused.onnx');

  /** The llama export with nodes behind the result of its first down-projection. */
  async function changed(name: string, nodesOf: (value: string, before: string) => OnnxFileNode[]): Promise<string> {
    const file = await openOnnxFile(onnxPath);
    const value = '/model/layers.0/mlp/down_proj/MatMul_output_0';
    file.interpose(value, `${value}/before`, nodesOf(value, `${value}/before`));
    const path = join(folder, name);
    await writeFile(path, file.encode());
    return path;
  }
  const node = (type: string, inputs: string[], output: string): OnnxFileNode => {
    return { name: `added ${type}`, type, domain: '', inputs, outputs: [output], attributes: {} };
  };

  it('is a version with a gate that looks at more than one token', async () => {
    const { model, version } = await versionOn('llama');
    const gate = { ...version.manifest.gate, kind: 'sequence' as const };
    const sequential = { ...version, manifest: { ...version.manifest, gate } };
    const patching = exportPatchedOnnx({ model, version: sequential, onnxPath, outputPath: outputPath() });
    await expect(patching).rejects.toThrow('of llama: key or nearest, for a patched ONNX file, got sequence');
  });

  it('is a version of another model', async () => {
    const { version } = await versionOn('llama');
    const { model } = await versionOn('gpt2');
    const patching = exportPatchedOnnx({ model, version, onnxPath, outputPath: outputPath() });
    await expect(patching).rejects.toThrow('SHA-256');
  });

  it('is an export of another model, or one with other weights', async () => {
    const made = await versionOn('gpt_neox');
    const patching = exportPatchedOnnx({ ...made, onnxPath, outputPath: outputPath() });
    const message =
      /down-projection of layer 0: one MatMul or Gemm whose weight has SHA-256 [0-9a-f]{64}, got none among 2 weights of its shape$/;
    await expect(patching).rejects.toThrow(message);
  });

  it('is a quantised export, which the message says', async () => {
    const made = await versionOn('gpt_neox');
    const path = await changed('quantised.onnx', (value, before) => [node('MatMulNBits', [before], value)]);
    const patching = exportPatchedOnnx({ ...made, onnxPath: path, outputPath: outputPath() });
    await expect(patching).rejects.toThrow(
      /; the file has MatMulNBits nodes: weights of a quantised export cannot be matched by digest$/,
    );
  });

  it('is an export that multiplies with a down-projection twice', async () => {
    const path = await changed('twice.onnx', (value, before) => [
      node('MatMul', ['/model/layers.0/mlp/Mul_output_0', 'onnx::MatMul_762'], 'again'),
      node('Add', [before, 'again'], value),
    ]);
    const patching = exportPatchedOnnx({ ...(await versionOn('llama')), onnxPath: path, outputPath: outputPath() });
    await expect(patching).rejects.toThrow('got 2 (/model/layers.0/mlp/down_proj/MatMul, added MatMul)');
  });

  it('is the export itself', async () => {
    const path = join(folder, 'own.onnx');
    await copyFile(onnxPath, path);
    const patching = exportPatchedOnnx({ ...(await versionOn('llama')), onnxPath: path, outputPath: path });
    await expect(patching).rejects.toThrow('path of the patched file: another file, got ');
    expect((await readFile(path)).equals(await readFile(onnxPath))).toBe(true);
  });
});

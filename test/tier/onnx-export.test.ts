import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Edit, fillTemplate } from '../../src/editing/index.js';
import { readBatch } from '../../src/evaluation/index.js';
import { pull } from '../../src/registry/index.js';
import { MemoryObjectStore } from '../../src/registry/memory-object-store.js';
import { openEditSession } from '../../src/rounds/index.js';
import { cpu } from '../../src/runtime/index.js';
import { exportPatchedOnnx, OnnxDecoder, type VersionHooks } from '../../src/serving/index.js';
import { versionHooks } from '../../src/serving/version-hooks.js';
import { pythonWith, runPython } from '../support/python.js';

const directory = process.env.HOOKLINE_SMOLLM2 ?? '';
const isThere = existsSync(join(directory, 'config.json'));
const python = pythonWith('optimum', 'onnx', 'onnxruntime', 'torch', 'transformers');
const tier = 'A patched ONNX export of SmolLM2-135M';
const lacking = isThere
  ? 'neither HOOKLINE_PYTHON nor python3 has optimum, onnx, onnxruntime, torch and transformers'
  : 'HOOKLINE_SMOLLM2 names no Hugging Face directory of it';
const name = isThere && python ? tier : `${tier}, skipped because ${lacking}`;
const sample = fileURLToPath(new URL('../fixtures/counterfact-sample.jsonl', import.meta.url));

const layers = [3, 5];
const newTokens = 12;

const exporter = `
import json, sys
from optimum.exporters.onnx import main_export
request = json.load(sys.stdin)
stdout, sys.stdout = sys.stdout, sys.stderr
main_export(request["model"], output=request["output"], task="text-generation-with-past", opset=18, do_validation=False)
json.dump({}, stdout)
`;

/** Greedy decoding with the cache, with nothing of this project but the file. */
const decoder = `
import json, sys
import numpy as np
import onnxruntime
request = json.load(sys.stdin)
session = onnxruntime.InferenceSession(request["path"], providers=["CPUExecutionProvider"])
pasts = [port for port in session.get_inputs() if port.name.startswith("past_key_values.")]
outputs = [port.name for port in session.get_outputs()]

def generate(prompt):
    past = {port.name: np.zeros((1, port.shape[1], 0, port.shape[3]), np.float32) for port in pasts}
    fed, seen, new = list(prompt), 0, []
    while len(new) < request["newTokens"]:
        seen += len(fed)
        feeds = {
            "input_ids": np.array([fed], np.int64),
            "attention_mask": np.ones((1, seen), np.int64),
            "position_ids": np.arange(seen - len(fed), seen, dtype=np.int64)[None],
            **past,
        }
        results = dict(zip(outputs, session.run(None, feeds)))
        past = {port.name: results[port.name.replace("past_key_values", "present")] for port in pasts}
        fed = [int(results["logits"][0, -1].argmax())]
        new += fed
    return new

json.dump({
    "tokens": [generate(prompt) for prompt in request["prompts"]],
    "metadata": session.get_modelmeta().custom_metadata_map,
}, sys.stdout)
`;

interface Decoded {
  readonly tokens: number[][];
  readonly metadata: Record<string, string>;
}

/** Paragraphs about the subjects of other records than the first ones. */
async function ordinaryText(offset: number): Promise<string> {
  const { edits } = await readBatch(sample, { offset });
  const paragraphs = edits.map(({ prompt, subject, targetTrue, neighborhood }) =>
    [fillTemplate(prompt, subject), ...neighborhood].map((text) => `${text} ${targetTrue}.`).join(' '),
  );
  return paragraphs.join('\n\n');
}

describe.skipIf(!isThere || python === undefined)(name, () => {
  let folder: string;
  let edits: readonly Edit[];
  let version: VersionHooks;
  let prompts: number[][];
  let expected: { readonly base: number[][]; readonly edited: number[][]; readonly fired: boolean[] };
  let files: { readonly onnxPath: string; readonly outputPath: string };

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'hookline-onnx-export-'));
    ({ edits } = await readBatch(sample, { limit: 3 }));
    const corpusPath = join(folder, 'corpus.txt');
    await writeFile(corpusPath, await ordinaryText(edits.length));
    const store = new MemoryObjectStore();
    const session = await openEditSession({
      store,
      modelId: 'smollm2',
      modelDirectory: directory,
      settings: { layers },
      criteria: null,
      corpusPath,
      device: cpu,
      memoryBudgetBytes: 2 ** 30,
    });
    for await (const _ of session.edit([edits]));
    const { bench } = session;
    version = await versionHooks(await pull(store, 'smollm2'));
    const texts = edits.flatMap((edit) => [fillTemplate(edit.prompt, edit.subject), ...edit.neighborhood.slice(0, 2)]);
    prompts = texts.map((text) => [...bench.tokenizer.encode(text).ids]);
    const model = await bench.edited();
    const base = await model.generate(prompts, { maxTokens: newTokens });
    const edited = await model.generate(prompts, { maxTokens: newTokens, hooks: version.hooks });
    expected = {
      base: base.map(({ tokenIds }) => [...tokenIds]),
      edited: edited.map(({ tokenIds }) => [...tokenIds]),
      fired: edited.map(({ firings }) => firings.length > 0),
    };
    await runPython(python!, exporter, { model: directory, output: join(folder, 'export') });
    files = { onnxPath: join(folder, 'export/model.onnx'), outputPath: join(folder, 'patched/model.onnx') };
    await exportPatchedOnnx({ model: bench.model, version, ...files, signals: true });
    await bench.dispose();
  });
  afterAll(() => rm(folder, { recursive: true }));

  it('says in Python what the edited model says here, token by token, and the unpatched one what the base model says', async () => {
    const decode = (path: string) => runPython<Decoded>(python!, decoder, { path, prompts, newTokens });
    const patched = await decode(files.outputPath);
    expect(patched.tokens).toEqual(expected.edited);
    expect(patched.metadata).toMatchObject({
      'hookline.modelId': 'smollm2',
      'hookline.gate': 'key',
      'hookline.edits': '3',
    });
    const unpatched = await decode(files.onnxPath);
    expect(unpatched.tokens).toEqual(expected.base);
    expect(new Set(expected.fired).size).toBe(2);
    prompts.forEach((_, p) => {
      if (expected.fired[p]) expect(patched.tokens[p]).not.toEqual(unpatched.tokens[p]);
      else expect(patched.tokens[p]).toEqual(unpatched.tokens[p]);
    });
  });

  it('gives the logits of the unpatched file bit for bit where no gate opens', async () => {
    const patched = await OnnxDecoder.open(files.outputPath);
    const scores = await patched.score(prompts.map((tokenIds) => ({ tokenIds, scoredFrom: tokenIds.length })));
    const shut = prompts.filter((_, p) => scores[p].firings.length === 0);
    const edited = await patched.logits(shut);
    await patched.dispose();
    const unpatched = await OnnxDecoder.open(files.onnxPath);
    const base = await unpatched.logits(shut);
    await unpatched.dispose();
    expect(shut.length).toBeGreaterThan(0);
    edited.forEach(({ data }, s) => {
      expect(Buffer.compare(bytesOf(data), bytesOf(base[s].data))).toBe(0);
    });
  });
});

const bytesOf = ({ buffer, byteOffset, byteLength }: Float32Array) => Buffer.from(buffer, byteOffset, byteLength);

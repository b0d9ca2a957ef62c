import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeHookFile, type GateKind, type HookLayer } from '../../src/editing/index.js';
import { digestOf, type ManifestEdit } from '../../src/registry/index.js';
import { HookableModel, type HookFiring } from '../../src/serving/index.js';
import { decodeSafetensors, encodeSafetensors, type Tensor, tensor } from '../../src/tensor/index.js';
import { type GoldenVersion, goldenRows, publishGoldenVersion } from '../support/golden-version.js';
import { pythonWith, runPython } from '../support/python.js';

const python = pythonWith('torch', 'transformers', 'safetensors', 'numpy');
const tier = 'The PyTorch consumer';
const name = python
  ? tier
  : `${tier}, skipped because neither HOOKLINE_PYTHON nor python3 has torch, transformers, safetensors and numpy`;

const newTokens = 8;

/** Runs examples/python/hookline_hooks.py: base and edited logits, cached generation of a padded batch, and the firings. */
const script = `
import json, sys
request = json.load(sys.stdin)
sys.path.insert(0, request["examples"])
import torch
from transformers import AutoModelForCausalLM
from hookline_hooks import HookError, Version, attach, model_digest

model = AutoModelForCausalLM.from_pretrained(request["model"], dtype=torch.float32).eval()

def places(firings):
    return [[f.batch, f.layer, f.token, f.subject, f.edit_ids, f.strength] for f in firings]

def forward():
    answers, fired = [], []
    for ids in request["prompts"]:
        with torch.no_grad():
            logits = model(torch.tensor([ids])).logits[0]
        answers.append(torch.log_softmax(logits[-1].double(), -1).tolist())
        fired.append(places(handle.last_firings) if handle else [])
    return answers, fired

def generate(prompts):
    longest = max(map(len, prompts))
    ids = torch.tensor([[0] * (longest - len(p)) + p for p in prompts])
    mask = torch.tensor([[0] * (longest - len(p)) + [1] * len(p) for p in prompts])
    out = model.generate(ids, attention_mask=mask, max_new_tokens=request["newTokens"], do_sample=False, pad_token_id=0)
    return out[:, longest:].tolist()

handle = None
base, _ = forward()
handle = attach(model, request["version"], request["model"])
edited, fired = forward()
single, cached = [], []
for prompt in request["prompts"]:
    single += generate([prompt])
    cached.append(places(handle.last_firings))
batch = generate(request["prompts"])
handle.remove()
handle = None
after, _ = forward()
def refused(folder, model_directory=None):
    try:
        attach(model, folder, model_directory)
    except HookError as error:
        return str(error)
refusals = [
    refused(request["torn"]), refused(request["version"], request["otherModel"]),
    refused(request["lacking"]), refused(request["strange"]),
]
first, second = Version(request["version"]), Version(request["firstFormat"])
values = [[version.values(layer).ravel().tolist() for layer in version.layers] for version in (first, second)]
json.dump({
    "base": base, "edited": edited, "fired": fired, "single": single, "cached": cached, "batch": batch,
    "isBaseAgain": base == after, "digest": model_digest(request["model"]), "refusals": refusals,
    "values": values[0], "valuesOfFirstFormat": values[1],
}, sys.stdout)
`;

type Place = readonly [
  batch: number,
  layer: number,
  token: number,
  subject: string,
  editIds: readonly string[],
  strength: number,
];

interface Answers {
  readonly base: number[][];
  readonly edited: number[][];
  readonly fired: Place[][];
  readonly single: number[][];
  readonly cached: Place[][];
  readonly batch: number[][];
  readonly isBaseAgain: boolean;
  readonly digest: string;
  readonly refusals: (string | null)[];
  /** A of each layer, replayed from segments of format version 2 and 1. */
  readonly values: number[][];
  readonly valuesOfFirstFormat: number[][];
}

/** A version as `hookline pull` lays it out. */
async function writePulled(folder: string, { manifest, files }: GoldenVersion['pulled']): Promise<string> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'manifest.json'), JSON.stringify(manifest));
  for (const [key, bytes] of files) {
    await mkdir(dirname(join(folder, key)), { recursive: true });
    await writeFile(join(folder, key), bytes);
  }
  return folder;
}

/** The same behind another gate. */
function behindGate({ manifest, files }: GoldenVersion['pulled'], kind: GateKind): GoldenVersion['pulled'] {
  return { manifest: { ...manifest, gate: { ...manifest.gate, kind } }, files };
}

/** The same with other edits in its manifest. */
function withEdits(
  { manifest, files }: GoldenVersion['pulled'],
  change: (edits: readonly ManifestEdit[]) => ManifestEdit[],
): GoldenVersion['pulled'] {
  return { manifest: { ...manifest, edits: change(manifest.edits) }, files };
}

/** The same with one bit of its first segment changed. */
async function writeTorn(folder: string, pulled: GoldenVersion['pulled']): Promise<string> {
  await writePulled(folder, pulled);
  const path = join(folder, pulled.manifest.segments[0].key);
  const bytes = await readFile(path);
  bytes[bytes.length - 1] ^= 1;
  await writeFile(path, bytes);
  return folder;
}

/** The same with segments as format version 1 had them: gram rows up to the diagonal in one tensor. */
function inFirstFormat({ manifest, files }: GoldenVersion['pulled']): GoldenVersion['pulled'] {
  const rewritten = new Map([...files].map(([key, bytes]) => [key, segmentInFirstFormat(bytes, key)]));
  const segments = manifest.segments.map((segment) => ({ ...segment, sha256: digestOf(rewritten.get(segment.key)!) }));
  return { manifest: { ...manifest, segments }, files: rewritten };
}

function segmentInFirstFormat(bytes: Uint8Array, key: string): Uint8Array {
  const { metadata, tensors } = decodeSafetensors(bytes, key);
  const { segment } = decodeHookFile(bytes, key);
  // Segments without rows came with format version 2.
  if (segment.addedIds.length === 0) return bytes;
  const packed = segment.layers.map(({ layer, round: { gramRows } }): [string, Tensor] => {
    const { rows, columns, data } = gramRows;
    const parts = Array.from({ length: rows }, (_, r) => [
      ...data.slice(r * columns, (r + 1) * columns - rows + r + 1),
    ]);
    return [`${layer}.gram`, tensor('float32', [parts.flat().length], Float32Array.from(parts.flat()))];
  });
  const others = [...tensors].filter(([name]) => !/\.(gram|cross\w*)$/.test(name));
  return encodeSafetensors([...others, ...packed], { ...metadata, formatVersion: '1' });
}

const subjects = [
  ['llama', 'key'],
  ['gpt2', 'key'],
  ['gpt_neox', 'key'],
  ['llama', 'nearest'],
] as const;

describe.skipIf(!python).each(subjects)(`${name} on %s, gate %s`, (modelName, gate) => {
  let folder: string;
  let subject: GoldenVersion;
  let served: HookableModel;
  let prompts: number[][];
  let answers: Answers;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'hookline-python-'));
    subject = await publishGoldenVersion(modelName);
    const { golden, model, version } = subject;
    const pulled = behindGate(subject.pulled, gate);
    served = await HookableModel.compile(model, { layers: version.manifest.layers, gate });
    prompts = [...golden.record.edits.map((edit) => edit.prompts[0].ids), ...golden.record.sequences];
    answers = await runPython<Answers>(python!, script, {
      examples: fileURLToPath(new URL('../../examples/python', import.meta.url)),
      model: model.directory,
      otherModel: join(model.directory, '../qwen2'),
      version: await writePulled(join(folder, 'version'), pulled),
      firstFormat: await writePulled(join(folder, 'first-format'), inFirstFormat(pulled)),
      lacking: await writePulled(
        join(folder, 'lacking'),
        withEdits(pulled, (edits) => [...edits, { ...edits[0], id: 'other', memory: 'other' }]),
      ),
      strange: await writePulled(
        join(folder, 'strange'),
        withEdits(pulled, (edits) => edits.filter(({ memory }) => memory !== 'memory-4')),
      ),
      torn: await writeTorn(join(folder, 'torn'), pulled),
      prompts,
      newTokens,
    });
  });
  afterAll(async () => {
    await served?.dispose();
    await rm(folder, { recursive: true });
  });

  /** Log-probabilities of the whole vocabulary after a prompt. */
  async function distribution(prompt: readonly number[], hooks?: readonly HookLayer[]): Promise<number[]> {
    const { vocab } = served.model.config;
    const requests = Array.from({ length: vocab }, (_, id) => ({
      tokenIds: [...prompt, id],
      scoredFrom: prompt.length,
    }));
    return (await served.score(requests, hooks)).map(({ logProbabilities }) => logProbabilities[0]);
  }

  const placesOf = (firings: readonly HookFiring[]) =>
    firings.map(({ layer, tokenIndex, editIndex }) => {
      const { subject: name, editIds } = subject.version.rowEdits[editIndex];
      return `${layer} ${tokenIndex} ${name}: ${editIds}`;
    });
  const placesInPython = (places: readonly Place[]) =>
    places.map(([, layer, token, name, editIds]) => `${layer} ${token} ${name}: ${editIds}`);

  it('gives the base model`s and the edited model`s distributions', async () => {
    for (const [p, prompt] of prompts.entries()) {
      expect(answers.base[p]).toBeAllclose(await distribution(prompt), { relative: 1e-4 });
      expect(answers.edited[p]).toBeAllclose(await distribution(prompt, subject.version.hooks), { relative: 1e-4 });
    }
    const changed = prompts.filter((_, p) =>
      answers.edited[p].some((value, i) => Math.abs(value - answers.base[p][i]) > 0.01),
    );
    expect(changed.length).toBeGreaterThanOrEqual(4);
  });

  it('opens the same gates for the same subjects, and names the facts of each that are active', async () => {
    const scores = await served.score(
      prompts.map((tokenIds) => ({ tokenIds, scoredFrom: tokenIds.length })),
      subject.version.hooks,
    );
    const places = scores.map(({ firings }) => placesOf(firings));
    expect(answers.fired.map(placesInPython)).toEqual(places);
    const strengths = scores.flatMap(({ firings }) => firings.map(({ strength }) => strength));
    expect(answers.fired.flat().map((place) => place[5])).toBeAllclose(strengths, { relative: 1e-4 });
    const facts = new Set(answers.fired.flat().map(([, , , name, editIds]) => `${name}: ${editIds}`));
    expect(facts).toEqual(new Set(goldenRows.map(({ subject: name, editIds }) => `${name}: ${editIds}`)));
  });

  it('decodes the same tokens with cached keys and values, alone and in a padded batch', async () => {
    const generated = await served.generate(prompts, { maxTokens: newTokens, hooks: subject.version.hooks });
    const base = await served.generate(prompts, { maxTokens: newTokens });
    const tokens = generated.map(({ tokenIds }) => tokenIds);
    expect(answers.single).toEqual(tokens);
    expect(answers.batch).toEqual(tokens);
    expect(tokens).not.toEqual(base.map(({ tokenIds }) => tokenIds));
    const places = generated.map(({ firings }) => placesOf(firings).sort());
    expect(answers.cached.map((firings) => placesInPython(firings).sort())).toEqual(places);
  });

  it('replays segments of both formats to the values that Node replays', () => {
    const { layers } = subject.version.state;
    layers.forEach(({ memory }, l) => {
      expect(answers.values[l]).toBeAllclose(memory.coefficients.data, { relative: 1e-9 });
      expect(answers.valuesOfFirstFormat[l]).toBeAllclose(memory.coefficients.data, { relative: 1e-5 });
    });
  });

  it('is the base model again, bit for bit, when the hooks are removed', () => {
    expect(answers.isBaseAgain).toBe(true);
  });

  it('refuses a damaged segment, another base model, and edits that its rows do not say', () => {
    const { segments, modelDigest } = subject.version.manifest;
    expect(answers.digest).toBe(modelDigest);
    expect(answers.refusals[0]).toContain(`${segments[0].key}: SHA-256 ${segments[0].sha256}`);
    expect(answers.refusals[1]).toContain(modelDigest);
    expect(answers.refusals.slice(2)).toEqual([
      'hooks: rows of the 5 memories of active edits, got none of other',
      'hooks: rows of the 3 memories of active edits, got rows of memory-4',
    ]);
  });
});

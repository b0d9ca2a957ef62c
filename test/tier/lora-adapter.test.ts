import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { exportLoraAdapter, exportMergedWeights, HookableModel, readLoraHooks } from '../../src/serving/index.js';
import { type GoldenVersion, publishGoldenVersion } from '../support/golden-version.js';
import { pythonWith, runPython } from '../support/python.js';

const python = pythonWith('torch', 'transformers', 'safetensors', 'peft');
const tier = 'Exports in transformers and PEFT';
const name = python
  ? tier
  : `${tier}, skipped because neither HOOKLINE_PYTHON nor python3 has torch, transformers, safetensors and peft`;

/** What transformers and PEFT answer with each export; a warning, such as for missing keys, is an error. */
const script = `
import json, sys, warnings
request = json.load(sys.stdin)
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

warnings.simplefilter("error")

def load(folder):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()

def answers(model):
    with torch.no_grad():
        logits = [model(input_ids=torch.tensor([ids])).logits[0] for ids in request["prompts"]]
    return [torch.log_softmax(rows[-1].double(), -1).tolist() for rows in logits]

def adapted(folder):
    model = PeftModel.from_pretrained(load(request["model"]), folder)
    changed = [name for name, module in model.base_model.model.named_modules() if hasattr(module, "lora_A")]
    return {"modules": changed, "answers": answers(model), "merged": answers(model.merge_and_unload())}

json.dump({
    "base": answers(load(request["model"])),
    "mergedWeights": answers(load(request["merged"])),
    "adapters": [adapted(folder) for folder in request["adapters"]],
}, sys.stdout)
`;

interface Answers {
  readonly base: number[][];
  readonly mergedWeights: number[][];
  readonly adapters: { readonly modules: string[]; readonly answers: number[][]; readonly merged: number[][] }[];
}

const downProjections: Record<string, string> = {
  llama: 'model.layers.#.mlp.down_proj',
  gpt2: 'transformer.h.#.mlp.c_proj',
  gptj: 'transformer.h.#.mlp.fc_out',
  gpt_neox: 'gpt_neox.layers.#.mlp.dense_4h_to_h',
};

describe.skipIf(!python).each(Object.keys(downProjections))(`${name} on %s`, (modelName) => {
  let folder: string;
  let subject: GoldenVersion;
  let served: HookableModel;
  let prompts: number[][];
  let answers: Answers;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'hookline-peft-'));
    subject = await publishGoldenVersion(modelName);
    const { golden, model, version } = subject;
    served = await HookableModel.compile(model, { layers: version.manifest.layers, gate: 'none' });
    prompts = [...golden.record.edits.map((edit) => edit.prompts[0].ids), ...golden.record.sequences];
    const [exact, truncated, merged] = ['exact', 'truncated', 'merged'].map((part) => join(folder, part));
    await exportLoraAdapter({ ...subject, folder: exact });
    await exportLoraAdapter({ ...subject, folder: truncated, rank: 2, dtype: 'float16' });
    await exportMergedWeights({ ...subject, folder: merged });
    const adapters = [exact, truncated];
    answers = await runPython<Answers>(python!, script, { model: model.directory, merged, adapters, prompts });
  });
  afterAll(async () => {
    await served?.dispose();
    await rm(folder, { recursive: true });
  });

  /** Log-probabilities of the whole vocabulary after each prompt, with an adapter read back. */
  async function distributions(adapter: string): Promise<number[][]> {
    const hooks = await readLoraHooks(join(folder, adapter), subject.model);
    const { vocab } = served.model.config;
    const requests = prompts.flatMap((prompt) =>
      Array.from({ length: vocab }, (_, id) => ({ tokenIds: [...prompt, id], scoredFrom: prompt.length })),
    );
    const scores = (await served.score(requests, hooks)).map(({ logProbabilities }) => logProbabilities[0]);
    return prompts.map((_, p) => scores.slice(p * vocab, (p + 1) * vocab));
  }

  it('load without a warning, and change the down-projections only', () => {
    const wanted = subject.version.manifest.layers.map((layer) =>
      downProjections[modelName].replace('#', String(layer)),
    );
    for (const { modules } of answers.adapters) expect(modules).toEqual(wanted);
  });

  it('answer as our own measurement of each adapter says, merged by PEFT or not', async () => {
    for (const [a, adapter] of ['exact', 'truncated'].entries()) {
      const expected = (await distributions(adapter)).flat();
      expect(answers.adapters[a].answers.flat()).toBeAllclose(expected, { relative: 1e-4 });
      expect(answers.adapters[a].merged.flat()).toBeAllclose(expected, { relative: 1e-4 });
      expect(answers.base.flat()).not.toBeAllclose(expected, { relative: 1e-2 });
    }
  });

  it('answer with merged weights as with the exact adapter', () => {
    expect(answers.mergedWeights.flat()).toBeAllclose(answers.adapters[0].answers.flat(), { relative: 1e-4 });
  });
});

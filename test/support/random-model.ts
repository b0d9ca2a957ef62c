/** @file Tiny random models of every architecture, in memory and as folders. */
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkModelConfig } from '../../src/model/read-model-config.js';
import { elementCount, encodeSafetensors, type Tensor, tensor } from '../../src/tensor/index.js';
import { projectFolder } from './program-bundle.js';
import { uniform } from './random-matrix.js';

/** A model as it lies in a folder. */
export interface ModelParts {
  readonly config: Record<string, unknown>;
  readonly tensors: Map<string, Tensor>;
  /** A name under test/golden/tokenizer. */
  readonly tokenizer: string;
}

const shared = { num_hidden_layers: 2, hidden_size: 16, intermediate_size: 24, max_position_embeddings: 64 };
const llamaLike = { ...shared, num_attention_heads: 4, num_key_value_heads: 2, rms_norm_eps: 1e-5, vocab_size: 520 };
const gpt = { n_layer: 2, n_embd: 16, n_inner: 24, n_head: 4, n_positions: 64, vocab_size: 520 };

const kinds: Readonly<Record<string, { readonly config: Record<string, unknown>; readonly tokenizer: string }>> = {
  llama: { config: { model_type: 'llama', ...llamaLike, tie_word_embeddings: true }, tokenizer: 'llama3' },
  'llama with biases': {
    config: { model_type: 'llama', ...llamaLike, attention_bias: true, mlp_bias: true },
    tokenizer: 'smollm2',
  },
  mistral: {
    config: { model_type: 'mistral', ...llamaLike, vocab_size: 561, sliding_window: 8 },
    tokenizer: 'mistral',
  },
  qwen2: { config: { model_type: 'qwen2', ...llamaLike }, tokenizer: 'qwen2' },
  qwen3: { config: { model_type: 'qwen3', ...llamaLike, head_dim: 8, tie_word_embeddings: true }, tokenizer: 'qwen2' },
  smollm3: { config: { model_type: 'smollm3', ...llamaLike, no_rope_layers: [1, 0] }, tokenizer: 'llama3' },
  phi3: { config: { model_type: 'phi3', ...llamaLike, vocab_size: 561, sliding_window: 8 }, tokenizer: 'mistral' },
  gpt2: { config: { model_type: 'gpt2', ...gpt }, tokenizer: 'gpt2' },
  gptj: { config: { model_type: 'gptj', ...gpt, rotary_dim: 2 }, tokenizer: 'gpt2' },
  gpt_neox: {
    config: { model_type: 'gpt_neox', ...shared, num_attention_heads: 2, rotary_pct: 0.5, vocab_size: 520 },
    tokenizer: 'gpt2',
  },
};

/** One of every architecture, and of its variants that have other tensors. */
export const modelKinds: readonly string[] = Object.keys(kinds);

/** The tensors that a model of this config has, by their full names. */
export function tensorShapes(config: Readonly<Record<string, unknown>>): Map<string, readonly number[]> {
  const { architecture, config: understood } = checkModelConfig(config, 'config.json');
  const { trunk, block, head } = architecture.tensors(understood);
  const [prefix] = architecture.prefixes;
  const shapes = new Map<string, readonly number[]>(Object.entries(head));
  for (const [name, shape] of Object.entries(trunk)) shapes.set(prefix + name, shape);
  for (let layer = 0; layer < understood.layers; layer++) {
    for (const [name, shape] of Object.entries(block)) {
      shapes.set(`${prefix}${architecture.blocks}.${layer}.${name}`, shape);
    }
  }
  return shapes;
}

/** Whether a tensor is the gain of a norm: such numbers are about 1, all others about 0. */
export const isGain = (name: string, shape: readonly number[]): boolean =>
  shape.length === 1 && name.endsWith('weight');

/** A new model of a kind, whose weights are float32 and random. */
export function randomModel(kind: string, seed = 1): ModelParts {
  const { config, tokenizer } = kinds[kind];
  const next = uniform(seed);
  const tensors = new Map<string, Tensor>();
  for (const [name, shape] of tensorShapes(config)) {
    const centre = isGain(name, shape) ? 1 : 0;
    const data = Float32Array.from({ length: elementCount(shape) }, () => centre + 0.6 * (next() - 0.5));
    tensors.set(name, tensor('float32', shape, data));
  }
  return { config: structuredClone(config), tensors, tokenizer };
}

/** Writes a model as a Hugging Face folder. @returns the folder */
export function writeModel(folder: string, { config, tensors, tokenizer }: ModelParts): string {
  writeConfig(folder, config, tokenizer);
  writeFileSync(join(folder, 'model.safetensors'), encodeSafetensors(tensors));
  return folder;
}

/** What a model's folder has beside its weights. @param tokenizer a name under test/golden/tokenizer */
export function writeConfig(folder: string, config: Readonly<Record<string, unknown>>, tokenizer: string): void {
  mkdirSync(folder, { recursive: true });
  cpSync(join(projectFolder, 'test/golden/tokenizer', tokenizer), folder, {
    recursive: true,
    filter: (path) => !path.endsWith('cases.json'),
  });
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
}

/**
 * @file The supported architectures: the Hugging Face name of each GGUF tensor, and the config fields from the
 *   metadata. GGUF names follow llama.cpp (gguf-py, constants.py), Hugging Face names follow transformers.
 */

import { UnsupportedArchitectureError } from '../../errors.js';
import { largest } from '../blocks/config.js';
import type { Metadata } from './metadata.js';
import { interleavedHeads, rotaryHalves, sameOrder, type TensorOrder, transposed } from './tensor-orders.js';

/** The facts from which config fields are computed. */
interface ConfigFacts {
  /** Metadata keys are `<architecture>.<key>`. */
  readonly metadata: Metadata;
  readonly architecture: string;
  /** Whether the file has a tensor of that name. */
  has(tensor: string): boolean;
}

/** One GGUF architecture as a Hugging Face model. */
export interface GgufArchitecture {
  readonly modelType: string;
  readonly className: string;
  /** From GGUF tensor names, without `.weight` or `.bias`, to Hugging Face names; `*` stands for the layer. */
  readonly tensors: Readonly<Record<string, string>>;
  readonly config: (facts: ConfigFacts) => Record<string, unknown>;
  /** The order of a tensor's elements, if it differs. */
  readonly order?: (tensor: string, heads: number, keyValueHeads: number) => TensorOrder;
}

const llamaTensors = {
  token_embd: 'model.embed_tokens',
  output_norm: 'model.norm',
  output: 'lm_head',
  'blk.*.attn_norm': 'model.layers.*.input_layernorm',
  'blk.*.attn_q': 'model.layers.*.self_attn.q_proj',
  'blk.*.attn_k': 'model.layers.*.self_attn.k_proj',
  'blk.*.attn_v': 'model.layers.*.self_attn.v_proj',
  'blk.*.attn_output': 'model.layers.*.self_attn.o_proj',
  'blk.*.ffn_norm': 'model.layers.*.post_attention_layernorm',
  'blk.*.ffn_gate': 'model.layers.*.mlp.gate_proj',
  'blk.*.ffn_up': 'model.layers.*.mlp.up_proj',
  'blk.*.ffn_down': 'model.layers.*.mlp.down_proj',
} as const;

/** The sizes that every architecture states. */
function readSizes(metadata: Metadata, architecture: string) {
  const count = (key: string, most: number) => metadata.requiredCount(`${architecture}.${key}`, most);
  return {
    layers: count('block_count', largest.layers),
    dModel: count('embedding_length', largest.width),
    dInner: count('feed_forward_length', largest.width),
    heads: count('attention.head_count', largest.heads),
    maxTokens: count('context_length', largest.tokens),
  };
}

function llamaConfig({ metadata, architecture, has }: ConfigFacts): Record<string, unknown> {
  const { dModel, heads, ...sizes } = readSizes(metadata, architecture);
  const dHead =
    metadata.count(`${architecture}.attention.key_length`, largest.width) ??
    metadata.count(`${architecture}.rope.dimension_count`, largest.width) ??
    dModel / heads;
  return {
    hidden_act: 'silu',
    hidden_size: dModel,
    intermediate_size: sizes.dInner,
    num_hidden_layers: sizes.layers,
    num_attention_heads: heads,
    num_key_value_heads: metadata.count(`${architecture}.attention.head_count_kv`, largest.heads) ?? heads,
    head_dim: dHead,
    max_position_embeddings: sizes.maxTokens,
    rms_norm_eps: metadata.decimal(`${architecture}.attention.layer_norm_rms_epsilon`) ?? 1e-5,
    rope_theta: metadata.decimal(`${architecture}.rope.freq_base`) ?? 10_000,
    attention_bias: has('blk.0.attn_q.bias'),
    mlp_bias: has('blk.0.ffn_up.bias'),
  };
}

/** GPT-2 and GPT-J name their sizes in the same way. */
function gptConfig({ metadata, architecture }: ConfigFacts): Record<string, unknown> {
  const { dModel, heads, layers, maxTokens, dInner } = readSizes(metadata, architecture);
  return {
    activation_function: 'gelu_new',
    n_embd: dModel,
    n_head: heads,
    n_layer: layers,
    n_positions: maxTokens,
    n_inner: dInner,
    layer_norm_epsilon: metadata.decimal(`${architecture}.attention.layer_norm_epsilon`) ?? 1e-5,
  };
}

function gptNeoxConfig({ metadata }: ConfigFacts): Record<string, unknown> {
  const { dModel, heads, ...sizes } = readSizes(metadata, 'gptneox');
  const ropeTheta = metadata.decimal('gptneox.rope.freq_base') ?? 10_000;
  return {
    hidden_act: 'gelu',
    hidden_size: dModel,
    intermediate_size: sizes.dInner,
    num_hidden_layers: sizes.layers,
    num_attention_heads: heads,
    max_position_embeddings: sizes.maxTokens,
    layer_norm_eps: metadata.decimal('gptneox.attention.layer_norm_epsilon') ?? 1e-5,
    rotary_emb_base: ropeTheta,
    rope_theta: ropeTheta,
    rotary_pct: metadata.requiredCount('gptneox.rope.dimension_count', largest.width) / (dModel / heads),
    use_parallel_residual: metadata.boolean('gptneox.use_parallel_residual') ?? true,
  };
}

/** The supported values of `general.architecture`. */
const architectures: Readonly<Record<string, GgufArchitecture>> = {
  llama: {
    modelType: 'llama',
    className: 'LlamaForCausalLM',
    tensors: llamaTensors,
    config: llamaConfig,
    order: (tensor, heads, keyValueHeads) => {
      if (tensor === 'blk.*.attn_q') return rotaryHalves(heads);
      return tensor === 'blk.*.attn_k' ? rotaryHalves(keyValueHeads) : sameOrder;
    },
  },
  qwen2: { modelType: 'qwen2', className: 'Qwen2ForCausalLM', tensors: llamaTensors, config: llamaConfig },
  qwen3: {
    modelType: 'qwen3',
    className: 'Qwen3ForCausalLM',
    tensors: {
      ...llamaTensors,
      'blk.*.attn_q_norm': 'model.layers.*.self_attn.q_norm',
      'blk.*.attn_k_norm': 'model.layers.*.self_attn.k_norm',
    },
    config: llamaConfig,
  },
  gpt2: {
    modelType: 'gpt2',
    className: 'GPT2LMHeadModel',
    tensors: {
      token_embd: 'transformer.wte',
      position_embd: 'transformer.wpe',
      output_norm: 'transformer.ln_f',
      output: 'lm_head',
      'blk.*.attn_norm': 'transformer.h.*.ln_1',
      'blk.*.attn_qkv': 'transformer.h.*.attn.c_attn',
      'blk.*.attn_output': 'transformer.h.*.attn.c_proj',
      'blk.*.ffn_norm': 'transformer.h.*.ln_2',
      'blk.*.ffn_up': 'transformer.h.*.mlp.c_fc',
      'blk.*.ffn_down': 'transformer.h.*.mlp.c_proj',
    },
    config: gptConfig,
    order: (tensor) => (/attn_qkv|attn_output|ffn_up|ffn_down/.test(tensor) ? transposed : sameOrder),
  },
  gptneox: {
    modelType: 'gpt_neox',
    className: 'GPTNeoXForCausalLM',
    tensors: {
      token_embd: 'gpt_neox.embed_in',
      output_norm: 'gpt_neox.final_layer_norm',
      output: 'embed_out',
      'blk.*.attn_norm': 'gpt_neox.layers.*.input_layernorm',
      'blk.*.attn_qkv': 'gpt_neox.layers.*.attention.query_key_value',
      'blk.*.attn_output': 'gpt_neox.layers.*.attention.dense',
      'blk.*.ffn_norm': 'gpt_neox.layers.*.post_attention_layernorm',
      'blk.*.ffn_up': 'gpt_neox.layers.*.mlp.dense_h_to_4h',
      'blk.*.ffn_down': 'gpt_neox.layers.*.mlp.dense_4h_to_h',
    },
    config: gptNeoxConfig,
    order: (tensor, heads) => (tensor === 'blk.*.attn_qkv' ? interleavedHeads(heads) : sameOrder),
  },
  gptj: {
    modelType: 'gptj',
    className: 'GPTJForCausalLM',
    tensors: {
      token_embd: 'transformer.wte',
      output_norm: 'transformer.ln_f',
      output: 'lm_head',
      'blk.*.attn_norm': 'transformer.h.*.ln_1',
      'blk.*.attn_q': 'transformer.h.*.attn.q_proj',
      'blk.*.attn_k': 'transformer.h.*.attn.k_proj',
      'blk.*.attn_v': 'transformer.h.*.attn.v_proj',
      'blk.*.attn_output': 'transformer.h.*.attn.out_proj',
      'blk.*.ffn_up': 'transformer.h.*.mlp.fc_in',
      'blk.*.ffn_down': 'transformer.h.*.mlp.fc_out',
    },
    config: (facts) => ({
      ...gptConfig(facts),
      rotary_dim: facts.metadata.requiredCount('gptj.rope.dimension_count', largest.width),
    }),
  },
};

/**
 * The architecture a GGUF file names.
 *
 * @throws {UnsupportedArchitectureError} if it is none of those supported, or a mixture of experts
 */
export function ggufArchitecture(metadata: Metadata): GgufArchitecture & { readonly name: string } {
  const name = metadata.string('general.architecture') ?? 'nothing';
  const architecture = Object.hasOwn(architectures, name) ? architectures[name] : undefined;
  const experts = metadata.number(`${name}.expert_count`) ?? 0;
  if (architecture === undefined || experts > 0) {
    const named = experts > 0 ? `${name} with ${experts} experts` : name;
    throw new UnsupportedArchitectureError(named, Object.keys(architectures), metadata.path);
  }
  return { name, ...architecture };
}

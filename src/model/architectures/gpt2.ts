import { add, gather, slice } from '../../graph/index.js';
import type { Architecture } from '../blocks/architecture.js';
import { type ConfigReader, largest, type ModelConfig } from '../blocks/config.js';
import { activate, attention, layerNorm, linear, splitHeads } from '../blocks/layers.js';

/** GPT-2: learned positions, layer norm, matrices stored as [in, out]. */
export const gpt2: Architecture = {
  modelTypes: ['gpt2'],
  prefixes: ['transformer.', ''],
  embedding: 'wte.weight',
  output: 'lm_head.weight',
  blocks: 'h',
  // The causal mask and its value.
  unusedTensors: /^h\.\d+\.attn\.(bias|masked_bias)$/,
  // Where the softmax is computed more exactly, its values are the same.
  harmlessFields: ['n_ctx', 'n_special', 'predict_special_tokens', 'reorder_and_upcast_attn'],

  readConfig(config) {
    config.require('scale_attn_weights', [true]);
    config.require('scale_attn_by_inverse_layer_idx', [false]);
    config.require('add_cross_attention', [false]);
    return {
      modelType: 'gpt2',
      ...gptSizes(config, 1024),
      tiedEmbeddings: config.boolean('tie_word_embeddings', true),
    };
  },

  tensors({ dModel, dInner, vocab, maxTokens, tiedEmbeddings }) {
    return {
      trunk: {
        'wte.weight': [vocab, dModel],
        'wpe.weight': [maxTokens, dModel],
        'ln_f.weight': [dModel],
        'ln_f.bias': [dModel],
      },
      block: {
        'ln_1.weight': [dModel],
        'ln_1.bias': [dModel],
        'attn.c_attn.weight': [dModel, 3 * dModel],
        'attn.c_attn.bias': [3 * dModel],
        'attn.c_proj.weight': [dModel, dModel],
        'attn.c_proj.bias': [dModel],
        'ln_2.weight': [dModel],
        'ln_2.bias': [dModel],
        'mlp.c_fc.weight': [dModel, dInner],
        'mlp.c_fc.bias': [dInner],
        'mlp.c_proj.weight': [dInner, dModel],
        'mlp.c_proj.bias': [dModel],
      },
      head: tiedEmbeddings ? {} : { 'lm_head.weight': [vocab, dModel] },
    };
  },

  downProjection: (layer) => ({ name: `h.${layer}.mlp.c_proj.weight`, layout: 'in-out' }),

  embed({ weight, packing }, tokenIds) {
    const tokens = gather(weight('wte.weight'), tokenIds);
    return packing ? add(tokens, gather(weight('wpe.weight'), packing.positions)) : tokens;
  },

  block(context, hidden) {
    const { config, layer, site } = context;
    const weight = (name: string) => context.weight(`h.${layer}.${name}`);
    const norm = (x: typeof hidden, name: string) =>
      layerNorm(x, weight(`${name}.weight`), weight(`${name}.bias`), config.normEpsilon);
    const project = (x: typeof hidden, name: string) =>
      linear(x, weight(`${name}.weight`), 'in-out', weight(`${name}.bias`));

    const joint = project(norm(hidden, 'ln_1'), 'attn.c_attn'); // [rows, 3 * dModel]
    const part = (index: number) =>
      splitHeads(slice(joint, 1, index * config.dModel, (index + 1) * config.dModel), config.heads, config.dHead);
    const attended = project(attention(context, part(0), part(1), part(2)), 'attn.c_proj');
    const afterAttention = add(hidden, attended);

    const inner = site('mlp.inner', activate(project(norm(afterAttention, 'ln_2'), 'mlp.c_fc'), config.activation));
    const out = site('mlp.out', project(inner, 'mlp.c_proj'));
    return site('block.out', add(afterAttention, out));
  },

  head({ config, weight, weights }, hidden) {
    const normed = layerNorm(hidden, weight('ln_f.weight'), weight('ln_f.bias'), config.normEpsilon);
    const vocabulary = config.tiedEmbeddings ? weight('wte.weight') : weights.value(hidden.graph, 'lm_head.weight');
    return linear(normed, vocabulary, 'out-in');
  },
};

/** The fields that GPT-2 and GPT-J have in common. */
export function gptSizes(
  config: ConfigReader,
  defaultTokens: number,
): Omit<ModelConfig, 'modelType' | 'tiedEmbeddings'> {
  const dModel = config.count('n_embd', largest.width);
  const heads = config.count('n_head', largest.heads);
  return {
    layers: config.count('n_layer', largest.layers),
    dModel,
    dInner: config.count('n_inner', largest.width, 4 * dModel),
    heads,
    keyValueHeads: heads,
    dHead: dModel / heads,
    vocab: config.count('vocab_size', largest.vocab),
    maxTokens: config.context('n_positions', defaultTokens),
    normEpsilon: config.positive('layer_norm_epsilon', 1, 1e-5),
    activation: config.activation('activation_function', 'gelu_new'),
  };
}

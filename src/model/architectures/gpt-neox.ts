import { add, gather, reshape, slice, type Value } from '../../graph/index.js';
import type { Architecture, BlockContext } from '../blocks/architecture.js';
import { largest } from '../blocks/config.js';
import { activate, attention, layerNorm, linear, rotate } from '../blocks/layers.js';

/** GPT-NeoX and Pythia: two norms, parallel or serial residual, partial rotary embeddings, one joint q-k-v matrix. */
export const gptNeox: Architecture = {
  modelTypes: ['gpt_neox'],
  prefixes: ['gpt_neox.', ''],
  embedding: 'embed_in.weight',
  output: 'embed_out.weight',
  blocks: 'layers',
  // The causal mask and its value, and what the angles are computed from.
  unusedTensors: /^layers\.\d+\.attention\.(bias|masked_bias|rotary_emb\.inv_freq)$/,

  readConfig(config) {
    config.require('attention_bias', [true]);
    const dModel = config.count('hidden_size', largest.width);
    const heads = config.count('num_attention_heads', largest.heads);
    const dHead = dModel / heads;
    const share = config.positive('rotary_pct', 1, 0.25);
    const rotary = config.rotary(dHead, 'half', { baseField: 'rotary_emb_base', share });
    // Newer files state both under a second name, which must not say something else.
    config.require('partial_rotary_factor', [share]);
    config.require('rope_theta', [rotary.base]);
    return {
      modelType: 'gpt_neox',
      layers: config.count('num_hidden_layers', largest.layers),
      dModel,
      dInner: config.count('intermediate_size', largest.width),
      heads,
      keyValueHeads: heads,
      dHead,
      vocab: config.count('vocab_size', largest.vocab),
      maxTokens: config.context('max_position_embeddings'),
      normEpsilon: config.positive('layer_norm_eps', 1, 1e-5),
      activation: config.activation('hidden_act', 'gelu'),
      tiedEmbeddings: config.boolean('tie_word_embeddings', false),
      parallelResidual: config.boolean('use_parallel_residual', true),
      rotary,
    };
  },

  tensors({ dModel, dInner, vocab, tiedEmbeddings }) {
    return {
      trunk: {
        'embed_in.weight': [vocab, dModel],
        'final_layer_norm.weight': [dModel],
        'final_layer_norm.bias': [dModel],
      },
      block: {
        'input_layernorm.weight': [dModel],
        'input_layernorm.bias': [dModel],
        'attention.query_key_value.weight': [3 * dModel, dModel],
        'attention.query_key_value.bias': [3 * dModel],
        'attention.dense.weight': [dModel, dModel],
        'attention.dense.bias': [dModel],
        'post_attention_layernorm.weight': [dModel],
        'post_attention_layernorm.bias': [dModel],
        'mlp.dense_h_to_4h.weight': [dInner, dModel],
        'mlp.dense_h_to_4h.bias': [dInner],
        'mlp.dense_4h_to_h.weight': [dModel, dInner],
        'mlp.dense_4h_to_h.bias': [dModel],
      },
      head: tiedEmbeddings ? {} : { 'embed_out.weight': [vocab, dModel] },
    };
  },

  downProjection: (layer) => ({ name: `layers.${layer}.mlp.dense_4h_to_h.weight`, layout: 'out-in' }),

  embed: ({ weight }, tokenIds) => gather(weight('embed_in.weight'), tokenIds),

  block(context, hidden) {
    const { config, layer, site } = context;
    const weight = (name: string) => context.weight(`layers.${layer}.${name}`);
    const norm = (x: Value, name: string) =>
      layerNorm(x, weight(`${name}.weight`), weight(`${name}.bias`), config.normEpsilon);
    const project = (x: Value, name: string) => linear(x, weight(`${name}.weight`), 'out-in', weight(`${name}.bias`));

    const attended = project(
      selfAttention(context, project(norm(hidden, 'input_layernorm'), 'attention.query_key_value')),
      'attention.dense',
    );
    const afterAttention = add(hidden, attended);
    const mlpInput = norm(config.parallelResidual ? hidden : afterAttention, 'post_attention_layernorm');
    const inner = site('mlp.inner', activate(project(mlpInput, 'mlp.dense_h_to_4h'), config.activation));
    const out = site('mlp.out', project(inner, 'mlp.dense_4h_to_h'));
    return site('block.out', add(afterAttention, out));
  },

  head({ config, weight, weights }, hidden) {
    const normed = layerNorm(
      hidden,
      weight('final_layer_norm.weight'),
      weight('final_layer_norm.bias'),
      config.normEpsilon,
    );
    const vocabulary = config.tiedEmbeddings
      ? weight('embed_in.weight')
      : weights.value(hidden.graph, 'embed_out.weight');
    return linear(normed, vocabulary, 'out-in');
  },
};

/** The joint projection holds query, key and value of each head next to each other: [rows, heads, 3 * dHead]. */
function selfAttention(context: BlockContext, joint: Value): Value {
  const { heads, dHead } = context.config;
  const perHead = reshape(joint, [joint.shape[0], heads, 3 * dHead]);
  const part = (index: number) => slice(perHead, 2, index * dHead, (index + 1) * dHead);
  return attention(context, rotate(part(0), context), rotate(part(1), context), part(2));
}

import { add, gather, reshape, slice, type Value } from '../../graph/index.js';
import type { Architecture, BlockContext } from '../blocks/architecture.js';
import { ConfigReader } from '../blocks/config.js';
import { activate, attention, layerNorm, linear, rotate } from '../blocks/layers.js';

/** GPT-NeoX and Pythia: two norms, parallel or serial residual, partial rotary embeddings, one joint q-k-v matrix. */
export const gptNeox: Architecture = {
  modelTypes: ['gpt_neox'],
  prefixes: ['gpt_neox.', ''],
  probe: 'embed_in.weight',

  readConfig(raw) {
    const config = new ConfigReader(raw);
    config.require('attention_bias', [true]);
    const dModel = config.count('hidden_size');
    const heads = config.count('num_attention_heads');
    const dHead = dModel / heads;
    const parameters = raw.rope_parameters as { partial_rotary_factor?: number } | undefined;
    const share = parameters?.partial_rotary_factor ?? config.number('rotary_pct', 0.25);
    return {
      modelType: 'gpt_neox',
      layers: config.count('num_hidden_layers'),
      dModel,
      dInner: config.count('intermediate_size'),
      heads,
      keyValueHeads: heads,
      dHead,
      vocab: config.count('vocab_size'),
      maxTokens: config.count('max_position_embeddings'),
      normEpsilon: config.number('layer_norm_eps', 1e-5),
      activation: config.activation('hidden_act', 'gelu'),
      tiedEmbeddings: config.boolean('tie_word_embeddings', false),
      parallelResidual: config.boolean('use_parallel_residual', true),
      rotary: config.rotary(Math.floor(dHead * share), 'half', 'rotary_emb_base'),
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

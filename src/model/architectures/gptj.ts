import { add, gather } from '../../graph/index.js';
import type { Architecture } from '../blocks/architecture.js';
import { largest } from '../blocks/config.js';
import { activate, attention, layerNorm, linear, rotate, splitHeads } from '../blocks/layers.js';
import { gptSizes } from './gpt2.js';

/** GPT-J: attention and MLP side by side on one norm, interleaved partial rotary embeddings. */
export const gptj: Architecture = {
  modelTypes: ['gptj'],
  prefixes: ['transformer.', ''],
  embedding: 'wte.weight',
  output: 'lm_head.weight',
  blocks: 'h',
  // The causal mask and its value.
  unusedTensors: /^h\.\d+\.attn\.(bias|masked_bias)$/,
  harmlessFields: ['n_ctx'],

  readConfig(config) {
    config.require('scale_attn_weights', [true]);
    config.require('rotary', [true]);
    const sizes = gptSizes(config, 2048);
    const dims = config.count('rotary_dim', largest.width, 64);
    return {
      modelType: 'gptj',
      ...sizes,
      tiedEmbeddings: config.boolean('tie_word_embeddings', false),
      rotary: { dims, base: 10_000, layout: 'interleaved' },
    };
  },

  tensors({ dModel, dInner, vocab, tiedEmbeddings }) {
    return {
      trunk: { 'wte.weight': [vocab, dModel], 'ln_f.weight': [dModel], 'ln_f.bias': [dModel] },
      block: {
        'ln_1.weight': [dModel],
        'ln_1.bias': [dModel],
        'attn.q_proj.weight': [dModel, dModel],
        'attn.k_proj.weight': [dModel, dModel],
        'attn.v_proj.weight': [dModel, dModel],
        'attn.out_proj.weight': [dModel, dModel],
        'mlp.fc_in.weight': [dInner, dModel],
        'mlp.fc_in.bias': [dInner],
        'mlp.fc_out.weight': [dModel, dInner],
        'mlp.fc_out.bias': [dModel],
      },
      head: tiedEmbeddings ? {} : { 'lm_head.weight': [vocab, dModel], 'lm_head.bias': [vocab] },
    };
  },

  downProjection: (layer) => ({ name: `h.${layer}.mlp.fc_out.weight`, layout: 'out-in' }),

  embed: ({ weight }, tokenIds) => gather(weight('wte.weight'), tokenIds),

  block(context, hidden) {
    const { config, layer, site } = context;
    const weight = (name: string) => context.weight(`h.${layer}.${name}`);
    const normed = layerNorm(hidden, weight('ln_1.weight'), weight('ln_1.bias'), config.normEpsilon);
    const project = (name: string) =>
      splitHeads(linear(normed, weight(`attn.${name}_proj.weight`), 'out-in'), config.heads, config.dHead);
    const mixed = attention(context, rotate(project('q'), context), rotate(project('k'), context), project('v'));
    const attended = linear(mixed, weight('attn.out_proj.weight'), 'out-in');

    const expanded = linear(normed, weight('mlp.fc_in.weight'), 'out-in', weight('mlp.fc_in.bias'));
    const inner = site('mlp.inner', activate(expanded, config.activation));
    const out = site('mlp.out', linear(inner, weight('mlp.fc_out.weight'), 'out-in', weight('mlp.fc_out.bias')));
    return site('block.out', add(hidden, add(attended, out)));
  },

  head({ config, weight, weights }, hidden) {
    const { graph } = hidden;
    const normed = layerNorm(hidden, weight('ln_f.weight'), weight('ln_f.bias'), config.normEpsilon);
    if (config.tiedEmbeddings) return linear(normed, weight('wte.weight'), 'out-in');
    const bias = weights.value(graph, 'lm_head.bias');
    return linear(normed, weights.value(graph, 'lm_head.weight'), 'out-in', bias);
  },
};

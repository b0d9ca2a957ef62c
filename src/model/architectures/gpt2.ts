import { add, gather, slice } from '../../graph/index.js';
import type { Architecture } from '../blocks/architecture.js';
import { ConfigReader } from '../blocks/config.js';
import { activate, attention, layerNorm, linear, splitHeads } from '../blocks/layers.js';

/** GPT-2: learned positions, layer norm, matrices stored as [in, out]. */
export const gpt2: Architecture = {
  modelTypes: ['gpt2'],
  prefixes: ['transformer.', ''],
  probe: 'wte.weight',

  readConfig(raw) {
    const config = new ConfigReader(raw);
    config.require('scale_attn_weights', [true]);
    config.require('scale_attn_by_inverse_layer_idx', [false]);
    config.require('add_cross_attention', [false]);
    const dModel = config.count('n_embd');
    const heads = config.count('n_head');
    return {
      modelType: 'gpt2',
      layers: config.count('n_layer'),
      dModel,
      dInner: config.count('n_inner', 4 * dModel),
      heads,
      keyValueHeads: heads,
      dHead: dModel / heads,
      vocab: config.count('vocab_size'),
      maxTokens: config.count('n_positions', 1024),
      normEpsilon: config.number('layer_norm_epsilon', 1e-5),
      activation: config.activation('activation_function', 'gelu_new'),
      tiedEmbeddings: config.boolean('tie_word_embeddings', true),
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

import { add, gather } from '../../graph/index.js';
import type { Architecture } from '../blocks/architecture.js';
import { ConfigReader } from '../blocks/config.js';
import { activate, attention, layerNorm, linear, rotate, splitHeads } from '../blocks/layers.js';

/** GPT-J: attention and MLP side by side on one norm, interleaved partial rotary embeddings. */
export const gptj: Architecture = {
  modelTypes: ['gptj'],
  prefixes: ['transformer.', ''],
  probe: 'wte.weight',

  readConfig(raw) {
    const config = new ConfigReader(raw);
    const dModel = config.count('n_embd');
    const heads = config.count('n_head');
    const dHead = dModel / heads;
    return {
      modelType: 'gptj',
      layers: config.count('n_layer'),
      dModel,
      dInner: config.count('n_inner', 4 * dModel),
      heads,
      keyValueHeads: heads,
      dHead,
      vocab: config.count('vocab_size'),
      maxTokens: config.count('n_positions', 2048),
      normEpsilon: config.number('layer_norm_epsilon', 1e-5),
      activation: config.activation('activation_function', 'gelu_new'),
      tiedEmbeddings: config.boolean('tie_word_embeddings', false),
      rotary: { dims: config.count('rotary_dim', dHead), base: 10_000, layout: 'interleaved' },
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

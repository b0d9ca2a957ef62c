import { add, gather, mul, type Value } from '../../graph/index.js';
import type { Architecture, BlockContext } from '../blocks/architecture.js';
import { ConfigReader, type ModelConfig, type RawConfig } from '../blocks/config.js';
import { activate, attention, linear, rmsNorm, rotate, splitHeads } from '../blocks/layers.js';

/** What sets the members of the family apart. */
interface LlamaFamilyMember {
  readonly modelTypes: readonly string[];
  /** Default of `attention_bias` for query, key and value projections. */
  readonly queryKeyValueBias?: true;
  /** RMS norm of each query and key head before rotation (Qwen3). */
  readonly queryKeyNorm?: true;
  readonly readSlidingWindow?: (config: ConfigReader) => number | undefined;
}

/** Decoders with RMS norm, rotary embeddings, grouped-query attention and a gated MLP. */
function llamaFamily(member: LlamaFamilyMember): Architecture {
  return {
    modelTypes: member.modelTypes,
    prefixes: ['model.', ''],
    probe: 'embed_tokens.weight',

    readConfig(raw: RawConfig): ModelConfig {
      const config = new ConfigReader(raw);
      config.require('mlp_bias', [false]);
      config.require('use_sliding_window', [false]);
      const heads = config.count('num_attention_heads');
      const dModel = config.count('hidden_size');
      const dHead = config.count('head_dim', dModel / heads);
      const slidingWindow = member.readSlidingWindow?.(config);
      return {
        modelType: String(raw.model_type),
        layers: config.count('num_hidden_layers'),
        dModel,
        dInner: config.count('intermediate_size'),
        heads,
        keyValueHeads: config.count('num_key_value_heads', heads),
        dHead,
        vocab: config.count('vocab_size'),
        maxTokens: config.count('max_position_embeddings'),
        normEpsilon: config.number('rms_norm_eps'),
        activation: config.activation('hidden_act', 'silu'),
        tiedEmbeddings: config.boolean('tie_word_embeddings', false),
        gatedMlp: true,
        rotary: config.rotary(dHead, 'half'),
        ...(slidingWindow !== undefined && { slidingWindow }),
      };
    },

    downProjection: (layer) => ({ name: `layers.${layer}.mlp.down_proj.weight`, layout: 'out-in' }),

    embed: ({ weight }, tokenIds) => gather(weight('embed_tokens.weight'), tokenIds),

    block(context, hidden) {
      const { config, layer, site } = context;
      const weight = (name: string) => context.weight(`layers.${layer}.${name}.weight`);
      const normed = rmsNorm(hidden, weight('input_layernorm'), config.normEpsilon);
      const attended = linear(selfAttention(context, normed, member), weight('self_attn.o_proj'), 'out-in');
      const afterAttention = add(hidden, attended);

      const mlpInput = rmsNorm(afterAttention, weight('post_attention_layernorm'), config.normEpsilon);
      const gate = activate(linear(mlpInput, weight('mlp.gate_proj'), 'out-in'), config.activation);
      const inner = site('mlp.inner', mul(gate, linear(mlpInput, weight('mlp.up_proj'), 'out-in')));
      const out = site('mlp.out', linear(inner, weight('mlp.down_proj'), 'out-in'));
      return site('block.out', add(afterAttention, out));
    },

    head({ config, weight, weights }, hidden) {
      const normed = rmsNorm(hidden, weight('norm.weight'), config.normEpsilon);
      const vocabulary = config.tiedEmbeddings
        ? weight('embed_tokens.weight')
        : weights.value(hidden.graph, 'lm_head.weight');
      return linear(normed, vocabulary, 'out-in');
    },
  };
}

function selfAttention(context: BlockContext, normed: Value, member: LlamaFamilyMember): Value {
  const { config, layer } = context;
  const project = (name: string, heads: number): Value => {
    const place = `layers.${layer}.self_attn.${name}_proj`;
    const bias = member.queryKeyValueBias && context.weight(`${place}.bias`);
    return splitHeads(linear(normed, context.weight(`${place}.weight`), 'out-in', bias), heads, config.dHead);
  };
  const normHeads = (x: Value, name: string): Value =>
    member.queryKeyNorm
      ? rmsNorm(x, context.weight(`layers.${layer}.self_attn.${name}_norm.weight`), config.normEpsilon)
      : x;
  const queries = rotate(normHeads(project('q', config.heads), 'q'), context);
  const keys = rotate(normHeads(project('k', config.keyValueHeads), 'k'), context);
  return attention(context, queries, keys, project('v', config.keyValueHeads));
}

/** Llama 1-3, SmolLM2 and the many checkpoints of the same shape. */
export const llama = llamaFamily({ modelTypes: ['llama'] });

/** Mistral 7B: Llama with a sliding window. */
export const mistral = llamaFamily({
  modelTypes: ['mistral'],
  readSlidingWindow: (config) => config.optionalCount('sliding_window'),
});

/** Qwen2 and Qwen2.5: Llama with biases on query, key and value. */
export const qwen2 = llamaFamily({ modelTypes: ['qwen2'], queryKeyValueBias: true });

/** Qwen3: Llama with normed query and key heads. */
export const qwen3 = llamaFamily({ modelTypes: ['qwen3'], queryKeyNorm: true });

import { add, gather, mul, slice, type Value } from '../../graph/index.js';
import type { Architecture, TensorShapes } from '../blocks/architecture.js';
import { type ConfigReader, largest, type ModelConfig } from '../blocks/config.js';
import type { FieldNames } from '../blocks/harmless-fields.js';
import { activate, attention, linear, rmsNorm, rotate, splitHeads } from '../blocks/layers.js';

/** What sets the members of the family apart. */
interface LlamaFamilyMember {
  readonly modelTypes: readonly string[];
  /** Key and value heads of a config that does not say how many; those of the queries by default. */
  readonly keyValueHeads?: number;
  /** Size of each head in a config that does not say it; the queries' share of the width by default. */
  readonly dHead?: number;
  /** Whether a config that does not say it means tied embeddings; by default it does not. */
  readonly tiedEmbeddings?: true;
  readonly readAttentionBias: (config: ConfigReader) => ModelConfig['attentionBias'];
  readonly readMlpBias?: (config: ConfigReader) => boolean;
  /** RMS norm of each query and key head before rotation (Qwen3). */
  readonly queryKeyNorm?: true;
  readonly readSlidingWindow?: (config: ConfigReader) => number | undefined;
  /** Layers without rotary embeddings (SmolLM3). */
  readonly readUnrotatedLayers?: (config: ConfigReader) => readonly number[];
  /** Query, key and value are one matrix, gate and up another, and a share of each head may be rotated (Phi-3). */
  readonly fusedProjections?: true;
  readonly harmlessFields?: FieldNames;
}

/** Decoders with RMS norm, rotary embeddings, grouped-query attention and a gated MLP. */
function llamaFamily(member: LlamaFamilyMember): Architecture {
  return {
    modelTypes: member.modelTypes,
    prefixes: ['model.', ''],
    embedding: 'embed_tokens.weight',
    output: 'lm_head.weight',
    blocks: 'layers',
    unusedTensors: /^(layers\.\d+\.self_attn\.)?rotary_emb\.inv_freq$/,
    harmlessFields: member.harmlessFields ?? [],

    readConfig(config) {
      const heads = config.count('num_attention_heads', largest.heads);
      const dModel = config.count('hidden_size', largest.width);
      const dHead = config.count('head_dim', largest.width, member.dHead ?? dModel / heads);
      const keyValueHeads = config.has('num_key_value_heads', null) ? heads : (member.keyValueHeads ?? heads);
      const slidingWindow = member.readSlidingWindow?.(config);
      const attentionBias = member.readAttentionBias(config);
      const mlpBias = member.readMlpBias?.(config) ?? false;
      const unrotatedLayers = member.readUnrotatedLayers?.(config);
      if (!member.fusedProjections) config.require('partial_rotary_factor', [1]);
      const share = member.fusedProjections ? config.positive('partial_rotary_factor', 1, 1) : 1;
      return {
        modelType: member.modelTypes[0],
        layers: config.count('num_hidden_layers', largest.layers),
        dModel,
        dInner: config.count('intermediate_size', largest.width),
        heads,
        keyValueHeads: config.count('num_key_value_heads', largest.heads, keyValueHeads),
        dHead,
        vocab: config.count('vocab_size', largest.vocab),
        maxTokens: config.context('max_position_embeddings'),
        normEpsilon: config.positive('rms_norm_eps', 1),
        activation: config.activation('hidden_act', 'silu'),
        tiedEmbeddings: config.boolean('tie_word_embeddings', member.tiedEmbeddings ?? false),
        gatedMlp: true,
        rotary: config.rotary(dHead, 'half', { share }),
        ...(unrotatedLayers !== undefined && { unrotatedLayers }),
        ...(slidingWindow !== undefined && { slidingWindow }),
        ...(attentionBias !== undefined && { attentionBias }),
        ...(mlpBias && { mlpBias }),
      };
    },

    tensors({ dModel, dInner, heads, keyValueHeads, dHead, vocab, tiedEmbeddings, attentionBias, mlpBias }) {
      const projection = (name: string, out: number, inner: number, hasBias: boolean | undefined): TensorShapes => ({
        [`${name}.weight`]: [out, inner],
        ...(hasBias && { [`${name}.bias`]: [out] }),
      });
      const hasQueryBias = attentionBias !== undefined;
      return {
        trunk: { 'embed_tokens.weight': [vocab, dModel], 'norm.weight': [dModel] },
        block: {
          'input_layernorm.weight': [dModel],
          ...(member.fusedProjections
            ? projection('self_attn.qkv_proj', (heads + 2 * keyValueHeads) * dHead, dModel, hasQueryBias)
            : {
                ...projection('self_attn.q_proj', heads * dHead, dModel, hasQueryBias),
                ...projection('self_attn.k_proj', keyValueHeads * dHead, dModel, hasQueryBias),
                ...projection('self_attn.v_proj', keyValueHeads * dHead, dModel, hasQueryBias),
              }),
          ...projection('self_attn.o_proj', dModel, heads * dHead, attentionBias === 'all'),
          ...(member.queryKeyNorm && { 'self_attn.q_norm.weight': [dHead], 'self_attn.k_norm.weight': [dHead] }),
          'post_attention_layernorm.weight': [dModel],
          ...(member.fusedProjections
            ? projection('mlp.gate_up_proj', 2 * dInner, dModel, mlpBias)
            : {
                ...projection('mlp.gate_proj', dInner, dModel, mlpBias),
                ...projection('mlp.up_proj', dInner, dModel, mlpBias),
              }),
          ...projection('mlp.down_proj', dModel, dInner, mlpBias),
        },
        head: tiedEmbeddings ? {} : { 'lm_head.weight': [vocab, dModel] },
      };
    },

    downProjection: (layer) => ({ name: `layers.${layer}.mlp.down_proj.weight`, layout: 'out-in' }),

    embed: ({ weight }, tokenIds) => gather(weight('embed_tokens.weight'), tokenIds),

    block(context, hidden) {
      const { config, layer, site } = context;
      const weight = (name: string) => context.weight(`layers.${layer}.${name}.weight`);
      const project = (x: Value, name: string, hasBias: boolean | undefined) =>
        linear(x, weight(name), 'out-in', hasBias ? context.weight(`layers.${layer}.${name}.bias`) : undefined);
      const normed = rmsNorm(hidden, weight('input_layernorm'), config.normEpsilon);
      /** Several projections of one input, each with its name and width. */
      const projections = (
        x: Value,
        fused: string,
        parts: readonly (readonly [name: string, width: number])[],
        hasBias: boolean,
      ) => {
        if (!member.fusedProjections) return parts.map(([name]) => project(x, name, hasBias));
        const together = project(x, fused, hasBias);
        let end = 0;
        return parts.map(([, width]) => {
          end += width;
          return slice(together, 1, end - width, end);
        });
      };
      const { heads, keyValueHeads, dHead, dInner } = config;
      const widths = [heads, keyValueHeads, keyValueHeads] as const;
      const [queries, keys, values] = projections(
        normed,
        'self_attn.qkv_proj',
        ['q', 'k', 'v'].map((name, i) => [`self_attn.${name}_proj`, widths[i] * dHead]),
        config.attentionBias !== undefined,
      ).map((x, i) => splitHeads(x, widths[i], dHead));
      const isRotated = !config.unrotatedLayers?.includes(layer);
      const turned = (x: Value, name: string) => {
        const headNormed = member.queryKeyNorm ? rmsNorm(x, weight(`self_attn.${name}_norm`), config.normEpsilon) : x;
        return isRotated ? rotate(headNormed, context) : headNormed;
      };
      const mixed = attention(context, turned(queries, 'q'), turned(keys, 'k'), values);
      const afterAttention = add(hidden, project(mixed, 'self_attn.o_proj', config.attentionBias === 'all'));

      const mlpInput = rmsNorm(afterAttention, weight('post_attention_layernorm'), config.normEpsilon);
      const parts = ['gate', 'up'].map((name) => [`mlp.${name}_proj`, dInner] as const);
      const [gate, up] = projections(mlpInput, 'mlp.gate_up_proj', parts, config.mlpBias ?? false);
      const inner = site('mlp.inner', mul(activate(gate, config.activation), up));
      const out = site('mlp.out', project(inner, 'mlp.down_proj', config.mlpBias));
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

/** Biases of query, key, value and output, where `attention_bias` says so. */
const attentionBiasField = (config: ConfigReader) => (config.boolean('attention_bias', false) ? 'all' : undefined);

/** Where no window is used, the fields that would describe it say nothing. */
function readNoSlidingWindow(config: ConfigReader): undefined {
  config.require('use_sliding_window', [false]);
  const kinds = config.value('layer_types') ?? [];
  if (!Array.isArray(kinds) || kinds.some((kind) => kind !== 'full_attention')) {
    config.refuse('layer_types', 'full_attention of every layer', JSON.stringify(kinds).slice(0, 100));
  }
}

const unusedWindow: FieldNames = ['sliding_window', 'max_window_layers'];

/** Llama 1-3, SmolLM2 and the many checkpoints of the same shape. */
export const llama = llamaFamily({
  modelTypes: ['llama'],
  readAttentionBias: attentionBiasField,
  readMlpBias: (config) => config.boolean('mlp_bias', false),
  harmlessFields: ['is_llama_config'],
});

/** Mistral 7B: Llama with a sliding window, of 4096 tokens where the config is silent. */
export const mistral = llamaFamily({
  modelTypes: ['mistral'],
  keyValueHeads: 8,
  readAttentionBias: () => undefined,
  readSlidingWindow: (config) => {
    if (config.has('sliding_window', null)) return undefined;
    return config.count('sliding_window', largest.tokens, 4096);
  },
});

/** Qwen2 and Qwen2.5: Llama with biases on query, key and value, whatever `attention_bias` says. */
export const qwen2 = llamaFamily({
  modelTypes: ['qwen2'],
  keyValueHeads: 32,
  readAttentionBias: () => 'query-key-value',
  readSlidingWindow: readNoSlidingWindow,
  harmlessFields: [...unusedWindow, 'attention_bias'],
});

/** Qwen3: Llama with normed query and key heads. */
export const qwen3 = llamaFamily({
  modelTypes: ['qwen3'],
  keyValueHeads: 32,
  dHead: 128,
  readAttentionBias: attentionBiasField,
  queryKeyNorm: true,
  readSlidingWindow: readNoSlidingWindow,
  harmlessFields: unusedWindow,
});

/** SmolLM3: Llama in which some layers, every fourth unless the config says which, have no rotary embeddings. */
export const smollm3 = llamaFamily({
  modelTypes: ['smollm3'],
  tiedEmbeddings: true,
  keyValueHeads: 4,
  readAttentionBias: attentionBiasField,
  readMlpBias: (config) => config.boolean('mlp_bias', false),
  readSlidingWindow: readNoSlidingWindow,
  readUnrotatedLayers(config) {
    const interval = config.count('no_rope_layer_interval', largest.layers, 4);
    const layers = config.count('num_hidden_layers', largest.layers);
    const stated =
      config.value('no_rope_layers') ?? Array.from({ length: layers }, (_, l) => Number((l + 1) % interval !== 0));
    if (
      !Array.isArray(stated) ||
      stated.length !== layers ||
      stated.some((rotated) => rotated !== 0 && rotated !== 1)
    ) {
      return config.refuse('no_rope_layers', `${layers} numbers 0 or 1`, JSON.stringify(stated).slice(0, 100));
    }
    return stated.flatMap((rotated, layer) => (rotated === 0 ? [layer] : []));
  },
  harmlessFields: unusedWindow,
});

/** Phi-3 and the short form of Phi-4-mini: Llama with fused projections and a sliding window. */
export const phi3 = llamaFamily({
  modelTypes: ['phi3'],
  readAttentionBias: () => undefined,
  readSlidingWindow: (config) =>
    config.has('sliding_window', null) ? undefined : config.count('sliding_window', largest.tokens),
  fusedProjections: true,
  harmlessFields: ['original_max_position_embeddings', 'attention_bias'],
});

/** @file Decoders that are widely served, by name: their configs as they are published, to be filled with random weights. */

/** A config, and the kind of tokenizer that its family has. */
export interface ModelShape {
  readonly config: Readonly<Record<string, unknown>>;
  /** A name under test/golden/tokenizer. */
  readonly tokenizer: string;
}

const llama32 = {
  model_type: 'llama',
  hidden_act: 'silu',
  max_position_embeddings: 131_072,
  rms_norm_eps: 1e-5,
  rope_theta: 500_000,
  rope_scaling: {
    factor: 32,
    high_freq_factor: 4,
    low_freq_factor: 1,
    original_max_position_embeddings: 8192,
    rope_type: 'llama3',
  },
  tie_word_embeddings: true,
  vocab_size: 128_256,
};

export const modelShapes: Readonly<Record<string, ModelShape>> = {
  'qwen2.5-0.5b': {
    tokenizer: 'qwen2',
    config: {
      model_type: 'qwen2',
      hidden_act: 'silu',
      hidden_size: 896,
      intermediate_size: 4864,
      max_position_embeddings: 32_768,
      num_attention_heads: 14,
      num_hidden_layers: 24,
      num_key_value_heads: 2,
      rms_norm_eps: 1e-6,
      rope_theta: 1_000_000,
      tie_word_embeddings: true,
      vocab_size: 151_936,
    },
  },
  'llama-3.2-1b': {
    tokenizer: 'llama3',
    config: {
      ...llama32,
      head_dim: 64,
      hidden_size: 2048,
      intermediate_size: 8192,
      num_attention_heads: 32,
      num_hidden_layers: 16,
      num_key_value_heads: 8,
    },
  },
  'llama-3.2-3b': {
    tokenizer: 'llama3',
    config: {
      ...llama32,
      head_dim: 128,
      hidden_size: 3072,
      intermediate_size: 8192,
      num_attention_heads: 24,
      num_hidden_layers: 28,
      num_key_value_heads: 8,
    },
  },
};

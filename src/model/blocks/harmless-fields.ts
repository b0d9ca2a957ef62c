/** @file Fields of a `config.json` that say nothing about the logits. */

/** Names of fields, whatever their values are. */
export type FieldNames = readonly (string | RegExp)[];

const provenance: FieldNames = [
  // What transformers and others keep for themselves.
  /^_/,
  /^unsloth/,
  /^transformers(\.js_config|_version|_weights)$/,
  'architectures',
  'auto_map',
  'custom_pipelines',
  'finetuning_task',
  'name_or_path',
  'prefix',
  'task_specific_params',
];

const training: FieldNames = [
  /dropout/,
  /_pdrop$/,
  'gradient_checkpointing',
  'initializer_range',
  'neftune_noise_alpha',
  'pretraining_tp',
  'seq_length',
  /^use_flash_attn|^use_flash_attention/,
  'use_cache',
];

const tokens: FieldNames = [
  /_token_ids?$/,
  /^(bos|eos|pad|unk)_token$/,
  'max_seq_len',
  'max_sequence_length',
  'model_max_length',
  'tokenizer_class',
  'vocab_file',
];

const generation: FieldNames = [
  /^(max|min)_(length|new_tokens)$/,
  /^num_(beams|beam_groups|return_sequences)$/,
  /^(top_k|top_p|typical_p|temperature|do_sample|early_stopping)$/,
  /_penalty$/,
  /no_repeat_ngram_size$/,
  /^(begin_)?suppress_tokens$/,
  'bad_words_ids',
  'generation_config',
  'remove_invalid_values',
  'return_dict_in_generate',
];

const outputs: FieldNames = [
  /^output_(attentions|hidden_states|scores|past)$/,
  /^(use_)?return_dict$/,
  /^summary_/,
  /^(id2label|label2id|num_labels|problem_type)$/,
  'attn_implementation',
  'chunk_size_feed_forward',
  'is_decoder',
  'keys_to_ignore_at_inference',
  'torchscript',
  'use_bfloat16',
];

/** Those of every architecture. */
export const harmlessFields: FieldNames = [...provenance, ...training, ...tokens, ...generation, ...outputs];

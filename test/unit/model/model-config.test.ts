import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { InvalidInputError } from '../../../src/errors.js';
import { checkModelConfig } from '../../../src/model/read-model-config.js';

/** Configs as their authors publish them. */
const published: Readonly<Record<string, object>> = JSON.parse(
  readFileSync(new URL('../../fixtures/published-configs.json', import.meta.url), 'utf8'),
);
const check = (config: object) => checkModelConfig(config, './model/config.json').config;
const changed = (name: string, change: object) => () => check({ ...published[name], ...change });

describe('a published config', () => {
  it.each(Object.keys(published))('%s is understood', (name) => {
    expect(check(published[name])).toMatchObject({ layers: expect.any(Number) });
  });

  it('means tied embeddings where its family does', () => {
    expect(check(published['SmolLM3-3B']).tiedEmbeddings).toBe(true);
    expect(check(published['Llama-2-7b']).tiedEmbeddings).toBe(false);
  });

  it('may say what says nothing about the logits', () => {
    const harmless = {
      use_cache: false,
      attention_dropout: 0.3,
      _attn_implementation_autoset: true,
      unsloth_version: '2026.1',
      temperature: 0.6,
      max_length: 4096,
      id2label: { 0: 'LABEL_0' },
      nobody_knows_this: null,
      nor_this: false,
    };
    expect(check({ ...published['SmolLM2-135M'], ...harmless })).toEqual(check(published['SmolLM2-135M']));
  });
});

describe('a config that says what is not computed here', () => {
  it.each([
    ['SmolLM2-135M', 'logit_scale', 0.5],
    ['SmolLM2-135M', 'final_logit_softcapping', 30],
    ['SmolLM2-135M', 'attention_multiplier', 0.0078125],
    ['SmolLM2-135M', 'residual_multiplier', 0.22],
    ['SmolLM2-135M', 'partial_rotary_factor', 0.5],
    ['SmolLM2-135M', 'num_local_experts', 8],
    ['SmolLM2-135M', 'sliding_window', 512],
    ['SmolLM2-135M', 'rope_interleaved', true],
    ['SmolLM2-135M', 'no_rope_layers', [1, 0]],
    ['SmolLM2-135M', 'hidden_act', 'relu2'],
    ['SmolLM2-135M', 'hidden_act', 'constructor'],
    ['SmolLM2-135M', 'is_encoder_decoder', true],
    ['SmolLM2-135M', 'pruned_heads', { 1: [0] }],
    ['Mistral-7B-v0.1', 'attention_bias', true],
    ['Mistral-7B-v0.1', 'layer_types', ['sliding_attention']],
    ['Qwen2.5-0.5B', 'use_sliding_window', true],
    ['Qwen2.5-0.5B', 'layer_types', ['full_attention', 'sliding_attention']],
    ['Qwen2.5-0.5B', 'mlp_bias', true],
    ['Qwen3-0.6B', 'num_experts', 128],
    ['SmolLM3-3B', 'no_rope_layers', [1, 0]],
    ['SmolLM3-3B', 'use_sliding_window', true],
    ['Phi-3-mini-4k-instruct', 'sliding_window', 'all'],
    ['gpt2', 'scale_attn_by_inverse_layer_idx', true],
    ['gpt2', 'scale_attn_weights', false],
    ['gpt2', 'scale_attn_weights', null],
    ['gpt2', 'add_cross_attention', true],
    ['gpt-j-6b', 'rotary', false],
    ['gpt-j-6b', 'scale_attn_weights', false],
    ['pythia-160m', 'attention_bias', false],
    ['pythia-160m', 'partial_rotary_factor', 0.5],
    ['pythia-160m', 'rope_theta', 500],
  ])('%s with %s %j is refused by name', (name, field, value) => {
    expect(changed(name, { [field]: value })).toThrow(InvalidInputError);
    expect(changed(name, { [field]: value })).toThrow(`./model/config.json: ${field}: `);
  });

  it.each([
    [{ rope_type: 'yarn', factor: 4 }, 'rope_scaling.rope_type: default, linear or llama3, got yarn'],
    [{ type: 'dynamic', factor: 2 }, 'got dynamic'],
    [{ rope_type: 'linear', factor: 2, attention_factor: 1.2 }, 'rope_scaling.attention_factor: '],
    [{ rope_type: 'linear' }, 'rope_scaling.factor: a number above 0, at most 1000000, got nothing'],
    [{ rope_type: 'default', partial_rotary_factor: 2 }, 'rope_scaling.partial_rotary_factor: '],
    ['linear', 'rope_scaling: an object, got "linear"'],
  ])('rope_scaling %j is refused', (scaling, message) => {
    expect(changed('SmolLM2-135M', { rope_scaling: scaling })).toThrow(message);
  });

  it.each([
    ['quantization_config', { quant_method: 'gptq', bits: 4 }, 'quantised gptq of 4 bits'],
    ['quantization_config', { quant_method: 'fp8' }, 'quantised fp8'],
    ['quantization', { group_size: 64, bits: 4 }, 'quantised weights of 4 bits'],
  ])('a quantised checkpoint is named (%s %j)', (field, value, message) => {
    expect(changed('SmolLM2-135M', { [field]: value })).toThrow(message);
  });
});

describe('a config whose sizes are out of range', () => {
  it.each([
    ['num_hidden_layers', 2 ** 31 - 1],
    ['num_hidden_layers', 0],
    ['num_hidden_layers', 1.5],
    ['hidden_size', 1e300],
    ['vocab_size', -1],
    ['num_attention_heads', '9'],
    ['rms_norm_eps', 0],
    ['rms_norm_eps', 12],
    ['rope_theta', -10_000],
    ['max_position_embeddings', null],
    ['max_position_embeddings', 31],
    ['tie_word_embeddings', 'yes'],
  ])('%s %j is refused by name', (field, value) => {
    expect(changed('SmolLM2-135M', { [field]: value })).toThrow(`./model/config.json: ${field}: `);
  });

  it.each([
    ['gpt2', { n_embd: 770 }, 'width: a multiple of its 12 heads, got 770'],
    [
      'SmolLM2-135M',
      { num_key_value_heads: 4 },
      'attention heads: a multiple of the 4 heads of keys and values, got 9',
    ],
    ['SmolLM2-135M', { head_dim: 63 }, 'rotated part of each head: an even number from 2 to 63, got 63'],
    ['gpt-j-6b', { rotary_dim: 512 }, 'rotated part of each head: an even number from 2 to 256, got 512'],
    ['pythia-160m', { rotary_pct: 0.01 }, 'rotated part of each head: an even number from 2 to 64, got 0'],
  ])('%s with %j is refused', (name, change, message) => {
    expect(changed(name, change)).toThrow(message);
  });

  it('takes what transformers takes where a field is absent or null', () => {
    const without = (name: string, field: string) =>
      check(Object.fromEntries(Object.entries(published[name]).filter(([key]) => key !== field)));
    expect(without('Mistral-7B-v0.1', 'sliding_window').slidingWindow).toBe(4096);
    expect(without('Qwen3-0.6B', 'head_dim').dHead).toBe(128);
    expect(without('gpt-j-6b', 'rotary_dim').rotary?.dims).toBe(64);
    expect(check({ ...published['pythia-160m'], use_parallel_residual: null }).parallelResidual).toBe(false);
    expect(check({ ...published['Mistral-7B-v0.1'], num_key_value_heads: null }).keyValueHeads).toBe(32);
    expect(without('Mistral-7B-v0.1', 'num_key_value_heads').keyValueHeads).toBe(8);
    expect(check({ ...published['Mistral-7B-v0.1'], sliding_window: null })).not.toHaveProperty('slidingWindow');
  });
});

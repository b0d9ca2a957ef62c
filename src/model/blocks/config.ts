import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { InvalidInputError } from '../../errors.js';

/** Pointwise nonlinearities of the MLP, by their Hugging Face names. */
export type Activation = 'silu' | 'gelu' | 'gelu_new' | 'relu';

/** Frequency scaling of rotary embeddings, as `rope_scaling` of a Hugging Face config states it. */
export type RotaryScaling =
  | { readonly kind: 'linear'; readonly factor: number }
  | {
      readonly kind: 'llama3';
      readonly factor: number;
      readonly lowFrequencyFactor: number;
      readonly highFrequencyFactor: number;
      readonly originalMaxTokens: number;
    };

/** Rotary position embedding of the first `dims` components of each head. */
export interface RotaryConfig {
  readonly dims: number;
  readonly base: number;
  /** `half`: component i rotates with i + dims/2. `interleaved`: component 2i rotates with 2i + 1. */
  readonly layout: 'half' | 'interleaved';
  readonly scaling?: RotaryScaling;
}

/** The sizes and constants of a decoder, under the same names for every architecture. */
export interface ModelConfig {
  /** `model_type` of the Hugging Face config. */
  readonly modelType: string;
  readonly layers: number;
  readonly dModel: number;
  /** Width of the down-projection's input. */
  readonly dInner: number;
  readonly heads: number;
  readonly keyValueHeads: number;
  readonly dHead: number;
  readonly vocab: number;
  /** Longest sequence in tokens. */
  readonly maxTokens: number;
  readonly normEpsilon: number;
  readonly activation: Activation;
  readonly tiedEmbeddings: boolean;
  readonly rotary?: RotaryConfig;
  /** Layers whose queries and keys are not rotated; absent: none. */
  readonly unrotatedLayers?: readonly number[];
  /** A token sees itself and the `slidingWindow - 1` tokens before it; absent: all. */
  readonly slidingWindow?: number;
  /** The MLP multiplies two projections of its input (Llama's SwiGLU): three matrices in place of two. */
  readonly gatedMlp?: boolean;
  /** Attention and MLP read the same residual stream (GPT-NeoX). */
  readonly parallelResidual?: boolean;
  /** Which attention projections of the Llama family have a bias; absent: none. */
  readonly attentionBias?: 'query-key-value' | 'all';
  /** Whether the projections of the MLP have a bias (Llama family). */
  readonly mlpBias?: boolean;
}

/** A Hugging Face `config.json` read but not yet understood. */
export type RawConfig = Readonly<Record<string, unknown>>;

/** Largest sizes that are believed. Those of published decoders are smaller by a factor of ten and more. */
export const largest = { layers: 2048, heads: 4096, width: 1 << 20, vocab: 1 << 24, tokens: 1 << 30 } as const;

/**
 * Reads fields of a `config.json`, and keeps in mind which. Errors name the file, the field, the requirement and the
 * value.
 */
export class ConfigReader {
  readonly #raw: RawConfig;
  /** Of the file, and of the object inside it, for messages. */
  readonly #place: string;
  readonly #read = new Set<string>();

  /** @param file the file's name for messages */
  constructor(raw: RawConfig, file: string, object = '') {
    this.#raw = raw;
    this.#place = `${file}: ${object}`;
  }

  /** A whole number from 1 to `most`; `fallback` if the field is absent or null. */
  count(field: string, most: number, fallback?: number): number {
    return this.#whole(field, 1, most, fallback);
  }

  /** The longest sequence: prompts of edits and the texts around them have to fit. */
  context(field: string, fallback?: number): number {
    return this.#whole(field, 32, 1 << 30, fallback);
  }

  /** A number above 0, and of at most `most`. */
  positive(field: string, most: number, fallback?: number): number {
    return this.#parse(field, z.number().positive().max(most), `a number above 0, at most ${most}`, fallback);
  }

  /** True or false; `fallback` if the field is absent. Null is false, as everywhere in Python. */
  boolean(field: string, fallback: boolean): boolean {
    return this.value(field) !== null && this.#parse(field, z.boolean(), 'true or false', fallback);
  }

  /** Any text; undefined if the field is absent or null. */
  text(field: string): string | undefined {
    return this.#parse(field, z.string().nullish(), 'a text') ?? undefined;
  }

  /** Whether the field has this very value. */
  has(field: string, value: unknown): boolean {
    return this.value(field) === value;
  }

  /** The field as it is; it counts as read. */
  value(field: string): unknown {
    this.#read.add(field);
    return this.#raw[field];
  }

  /** Throws what is wrong with a field, or with several together. */
  refuse(what: string, requirement: string, got: string): never {
    throw new InvalidInputError(`${this.#place}${what}`, requirement, got);
  }

  /** @throws {InvalidInputError} for a nonlinearity that no graph exists for */
  activation(field: string, fallback: string): Activation {
    const name = this.#parse(field, z.string(), 'the name of an activation', fallback);
    if (Object.hasOwn(activationNames, name)) return activationNames[name];
    return this.refuse(field, `one of ${Object.keys(activationNames).join(', ')}`, name);
  }

  /** Refuses values of a setting that the graph does not implement. Absent is allowed, and null unless it had to be true. */
  require(field: string, allowed: readonly unknown[]): void {
    const value = this.value(field) ?? (this.#raw[field] === null && allowed.includes(true) ? false : undefined);
    if (value !== undefined && !allowed.includes(value))
      this.refuse(field, `one of ${allowed.join(', ')}`, shown(value));
  }

  /**
   * `rope_theta` and `rope_scaling`, at the top level (older files) or inside `rope_parameters`.
   *
   * @param defaultShare of each head that is rotated; that in `rope_parameters` goes before it
   */
  rotary(
    dHead: number,
    layout: RotaryConfig['layout'],
    { baseField = 'rope_theta', share: defaultShare = 1 } = {},
  ): RotaryConfig {
    const [newer, older] = [this.#object('rope_parameters'), this.#object('rope_scaling')];
    if (newer && older && !isDeepStrictEqual(newer.#raw, older.#raw)) {
      this.refuse('rope_scaling', 'the same as rope_parameters', shown(older.#raw));
    }
    const parameters = newer ?? older;
    const statedBase = this.positive(baseField, 1e12, 10_000);
    const base = parameters?.positive('rope_theta', 1e12, statedBase) ?? statedBase;
    const share = parameters?.positive('partial_rotary_factor', 1, defaultShare) ?? defaultShare;
    const dims = Math.floor(dHead * share);
    const scaling = parameters && readScaling(parameters);
    parameters?.requireNothingElse([]);
    return { dims, base, layout, ...(scaling && { scaling }) };
  }

  /**
   * Refuses every field that was not read, has a value other than null, false, 0 or nothing at all, and is not known to
   * leave the outcome as it is.
   */
  requireNothingElse(harmless: readonly (string | RegExp)[]): void {
    for (const [field, value] of Object.entries(this.#raw)) {
      if (this.#read.has(field) || isNothing(value)) continue;
      if (harmless.some((known) => (typeof known === 'string' ? known === field : known.test(field)))) continue;
      this.refuse(field, 'a setting that this architecture has here', shown(value));
    }
  }

  #object(field: string): ConfigReader | undefined {
    const value = this.value(field);
    if (value == null) return undefined;
    if (typeof value !== 'object' || Array.isArray(value)) return this.refuse(field, 'an object', shown(value));
    return new ConfigReader(value as RawConfig, this.#place.slice(0, -2), `${field}.`);
  }

  #whole(field: string, least: number, most: number, fallback: number | undefined): number {
    const schema = z.number().int().min(least).max(most);
    return this.#parse(field, schema, `a whole number from ${least} to ${most}`, fallback);
  }

  #parse<T>(field: string, schema: z.ZodType<T>, requirement: string, fallback?: T): T {
    const value = this.value(field) ?? fallback;
    const parsed = schema.safeParse(value);
    return parsed.success ? parsed.data : this.refuse(field, requirement, shown(value));
  }
}

const shown = (value: unknown): string => JSON.stringify(value)?.slice(0, 100) ?? 'nothing';

function isNothing(value: unknown): boolean {
  return !value || (typeof value === 'object' && Object.keys(value).length === 0);
}

const activationNames: Readonly<Record<string, Activation>> = {
  silu: 'silu',
  swish: 'silu',
  gelu: 'gelu',
  gelu_new: 'gelu_new',
  gelu_fast: 'gelu_new',
  gelu_pytorch_tanh: 'gelu_new',
  relu: 'relu',
};

function readScaling(reader: ConfigReader): RotaryScaling | undefined {
  const [newer, older] = [reader.text('rope_type'), reader.text('type')];
  const kind = newer ?? older ?? 'default';
  const factor = () => reader.positive('factor', 1e6);
  switch (kind) {
    case 'default':
      // Both are left over where a scaling was taken out of a file.
      for (const unused of ['factor', 'original_max_position_embeddings']) reader.value(unused);
      return undefined;
    case 'linear':
      reader.value('original_max_position_embeddings');
      return { kind, factor: factor() };
    case 'llama3': {
      const lowFrequencyFactor = reader.positive('low_freq_factor', 1e6);
      const highFrequencyFactor = reader.positive('high_freq_factor', 1e6);
      if (highFrequencyFactor <= lowFrequencyFactor) {
        reader.refuse('high_freq_factor', `above low_freq_factor ${lowFrequencyFactor}`, `${highFrequencyFactor}`);
      }
      const originalMaxTokens = reader.count('original_max_position_embeddings', largest.tokens);
      return { kind, factor: factor(), lowFrequencyFactor, highFrequencyFactor, originalMaxTokens };
    }
    default:
      return reader.refuse('rope_type', 'default, linear or llama3', kind);
  }
}

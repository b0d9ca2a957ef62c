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
  /** A token sees itself and the `slidingWindow - 1` tokens before it; absent: all. */
  readonly slidingWindow?: number;
  /** The MLP multiplies two projections of its input (Llama's SwiGLU): three matrices in place of two. */
  readonly gatedMlp?: boolean;
  /** Attention and MLP read the same residual stream (GPT-NeoX). */
  readonly parallelResidual?: boolean;
}

/** A Hugging Face `config.json` read but not yet understood. */
export type RawConfig = Readonly<Record<string, unknown>>;

/** Reads fields of a `config.json`. Errors name the field, the requirement and the value. */
export class ConfigReader {
  readonly #raw: RawConfig;

  constructor(raw: RawConfig) {
    this.#raw = raw;
  }

  /** A whole number of at least 1; `fallback` if the field is absent or null. */
  count(field: string, fallback?: number): number {
    return this.#read(field, z.number().int().positive(), 'a positive whole number', fallback);
  }

  number(field: string, fallback?: number): number {
    return this.#read(field, z.number(), 'a number', fallback);
  }

  boolean(field: string, fallback: boolean): boolean {
    return this.#read(field, z.boolean(), 'true or false', fallback);
  }

  /** A whole number of at least 1; undefined if the field is absent or null. */
  optionalCount(field: string): number | undefined {
    return this.#raw[field] == null ? undefined : this.count(field);
  }

  /** @throws {InvalidInputError} for a nonlinearity that no graph exists for */
  activation(field: string, fallback: string): Activation {
    const name = this.#read(field, z.string(), 'the name of an activation', fallback);
    const known = activationNames[name];
    if (known === undefined) {
      throw new InvalidInputError(`config.json: ${field}`, `one of ${Object.keys(activationNames).join(', ')}`, name);
    }
    return known;
  }

  /** Refuses values of a setting that the graph does not implement. */
  require(field: string, allowed: readonly unknown[]): void {
    const value = this.#raw[field];
    if (value != null && !allowed.includes(value)) {
      throw new InvalidInputError(`config.json: ${field}`, `one of ${allowed.join(', ')}`, String(value));
    }
  }

  /** `rope_theta` and `rope_scaling`, at the top level (older files) or inside `rope_parameters`. */
  rotary(dims: number, layout: RotaryConfig['layout'], baseField = 'rope_theta'): RotaryConfig {
    const parameters = (this.#raw.rope_parameters ?? this.#raw.rope_scaling) as RawConfig | null | undefined;
    const base = (parameters?.rope_theta as number | undefined) ?? this.number(baseField, 10_000);
    const scaling = parameters == null ? undefined : readScaling(parameters);
    return { dims, base, layout, ...(scaling && { scaling }) };
  }

  #read<T>(field: string, schema: z.ZodType<T>, requirement: string, fallback?: T): T {
    const value = this.#raw[field] ?? fallback;
    const parsed = schema.safeParse(value);
    if (!parsed.success) {
      throw new InvalidInputError(`config.json: ${field}`, requirement, JSON.stringify(value) ?? 'nothing');
    }
    return parsed.data;
  }
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

function readScaling(raw: RawConfig): RotaryScaling | undefined {
  const reader = new ConfigReader(raw);
  const kind = String(raw.rope_type ?? raw.type ?? 'default');
  switch (kind) {
    case 'default':
      return undefined;
    case 'linear':
      return { kind, factor: reader.number('factor') };
    case 'llama3':
      return {
        kind,
        factor: reader.number('factor'),
        lowFrequencyFactor: reader.number('low_freq_factor'),
        highFrequencyFactor: reader.number('high_freq_factor'),
        originalMaxTokens: reader.count('original_max_position_embeddings'),
      };
    default:
      throw new InvalidInputError('config.json: rope_scaling type', 'default, linear or llama3', kind);
  }
}

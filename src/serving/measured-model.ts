import type { HookLayer, ModelLimits } from '../editing/index.js';
import type { Tensor } from '../tensor/index.js';
import type { Generated } from './growing-sequence.js';
import type {
  Comparison,
  GenerateOptions,
  HookableModel,
  Score,
  ScoreRequest,
  SequenceProgress,
} from './hookable-model.js';
import { LogitsComparison } from './logits-comparison.js';

/** What measuring needs of a model. With hooks it is the edited model, with `undefined` the base model. */
export type MeasuredModel = Pick<HookableModel, 'limits' | 'score' | 'generate' | 'compare'>;

/** A model that takes no hooks, such as an export. */
export interface FixedModel {
  score(requests: readonly ScoreRequest[], hooks?: undefined, onProgress?: SequenceProgress): Promise<Score[]>;
  generate(
    prompts: readonly (readonly number[])[],
    options: Pick<GenerateOptions, 'maxTokens' | 'stopIds'>,
  ): Promise<Generated[]>;
  /** float32 [tokens, vocab] of each sequence. */
  logits(sequences: readonly (readonly number[])[]): Promise<Tensor<'float32'>[]>;
}

/**
 * An export beside the base model it was made from, to be measured like an edited model. With any hooks, the edited
 * model is the export. Its gates cannot be read.
 */
export class ExportedModel implements MeasuredModel {
  readonly #comparison = new LogitsComparison();
  readonly #base: HookableModel;
  readonly #exported: FixedModel;

  constructor(base: HookableModel, exported: FixedModel) {
    this.#base = base;
    this.#exported = exported;
  }

  get limits(): ModelLimits {
    return this.#base.limits;
  }

  score(
    requests: readonly ScoreRequest[],
    hooks?: readonly HookLayer[],
    onProgress?: SequenceProgress,
  ): Promise<Score[]> {
    return (hooks ? this.#exported : this.#base).score(requests, undefined, onProgress);
  }

  generate(prompts: readonly (readonly number[])[], options: GenerateOptions): Promise<Generated[]> {
    const { hooks, ...unhooked } = options;
    return hooks ? this.#exported.generate(prompts, unhooked) : this.#base.generate(prompts, unhooked);
  }

  /** One sequence after the other, because whole distributions are large. */
  async compare(
    sequences: readonly (readonly number[])[],
    _hooks: readonly HookLayer[],
    onProgress?: SequenceProgress,
  ): Promise<Comparison[]> {
    const results: Comparison[] = [];
    for (const tokenIds of sequences) {
      const [base] = await this.#base.logits([tokenIds]);
      const [exported] = await this.#exported.logits([tokenIds]);
      results.push(await this.#comparison.compare(tokenIds, base, exported));
      onProgress?.(results.length, sequences.length);
    }
    return results;
  }

  /** Frees what comparing needs. The caller disposes of both models. */
  dispose(): Promise<void> {
    return this.#comparison.dispose();
  }
}

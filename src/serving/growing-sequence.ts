import type { HookFiring } from './firings.js';
import { randomStream, type SamplingOptions } from './sampling.js';
import type { TrunkSequence } from './trunk.js';

/** How one sequence goes on and when it ends. */
export interface SequenceOptions extends SamplingOptions {
  /** Most new tokens. The model's `maxTokens` ends a sequence too. */
  readonly maxTokens: number;
  /** Tokens that end a sequence; they are not part of the result. */
  readonly stopIds?: readonly number[];
  /** Called for every token of the result as it comes; `false` ends the sequence with this token. */
  readonly onToken?: (tokenId: number) => boolean | undefined;
}

/** Why a sequence ended: a stop token or its listener, its length, or its caller's signal. */
export type FinishReason = 'stop' | 'length' | 'aborted';

/** What was generated after a prompt. */
export interface Generated {
  readonly tokenIds: readonly number[];
  /** Gates that opened on the prompt and on the new tokens. No gate has seen the last new token. */
  readonly firings: readonly HookFiring[];
  readonly finishReason: FinishReason;
}

/** A prompt and what has been generated after it. */
export class GrowingSequence {
  /** A random stream of its own, so that a sequence does not depend on the others. */
  readonly random: () => number;
  finishReason: FinishReason | undefined;
  readonly #tokenIds: number[];
  readonly #promptTokens: number;
  #firings: readonly HookFiring[] = [];
  #fed = 0;
  readonly #limitTokens: number;

  /**
   * @param limitTokens longest sequence of the model
   * @param stream number of the random stream among those of the same seed
   */
  constructor(
    promptIds: readonly number[],
    readonly options: SequenceOptions,
    limitTokens: number,
    stream = 0,
  ) {
    this.#limitTokens = limitTokens;
    this.#tokenIds = [...promptIds];
    this.#promptTokens = promptIds.length;
    this.random = randomStream(options.seed ?? 0, stream);
  }

  /** Tokens of the prompt. */
  get promptTokens(): number {
    return this.#promptTokens;
  }

  get result(): Generated {
    const { finishReason = 'aborted' } = this;
    return { tokenIds: this.#tokenIds.slice(this.#promptTokens), firings: this.#firings, finishReason };
  }

  /** The tokens to run next: with a cache the new ones, else all. */
  feed(isCached: boolean): TrunkSequence {
    const tokenIds = isCached ? this.#tokenIds.slice(this.#fed) : [...this.#tokenIds];
    this.#fed = this.#tokenIds.length;
    return { tokenIds, lookups: [tokenIds.length - 1] };
  }

  /** Takes the gates' firings on the tokens that were fed: with a cache the new ones, else all. */
  hear(firings: readonly HookFiring[], isCached: boolean): void {
    this.#firings = isCached ? [...this.#firings, ...firings] : firings;
  }

  /** Adds the next token, unless it ends the sequence. */
  push(tokenId: number): void {
    const { stopIds = [], maxTokens, onToken } = this.options;
    if (stopIds.includes(tokenId)) {
      this.finishReason = 'stop';
      return;
    }
    this.#tokenIds.push(tokenId);
    if (onToken?.(tokenId) === false) this.finishReason = 'stop';
    else if (this.#tokenIds.length - this.#promptTokens >= maxTokens) this.finishReason = 'length';
    else if (this.#tokenIds.length >= this.#limitTokens) this.finishReason = 'length';
  }
}

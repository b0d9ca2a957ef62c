import type { HookLayer } from '../editing/index.js';
import type { ModelConfig } from '../model/index.js';
import type { GrowingSequence } from './growing-sequence.js';
import { KeyValueCache } from './key-value-cache.js';
import { requireNumbers, sampleToken } from './sampling.js';
import type { Trunk } from './trunk.js';
import type { VocabularyHead } from './vocabulary-head.js';

/** What computes a batch. */
export interface DecodingParts {
  readonly trunk: Trunk;
  readonly head: VocabularyHead;
  readonly config: ModelConfig;
}

/** Sequences with the same hooks that get one token each per step. Others may join between two steps. */
export class SequenceBatch {
  #active: GrowingSequence[] = [];
  #cache: KeyValueCache | undefined;
  readonly #parts: DecodingParts;
  readonly #hooks: readonly HookLayer[] | undefined;
  readonly #isCausal: boolean;

  /**
   * @param hooks one for each hookable layer; undefined is the base model
   * @param isCausal whether a gate's decision on a token stays when the sequence grows; if not, nothing is cached, and
   *   every step runs whole sequences
   */
  constructor(parts: DecodingParts, hooks: readonly HookLayer[] | undefined, isCausal: boolean) {
    this.#parts = parts;
    this.#hooks = hooks;
    this.#isCausal = isCausal;
  }

  /** Sequences that have not ended. */
  get size(): number {
    return this.#active.length;
  }

  /** Runs the prompts of new sequences by themselves, each to its first new token. */
  async join(newcomers: readonly GrowingSequence[]): Promise<void> {
    if (newcomers.length === 0) return;
    const cache = this.#isCausal ? new KeyValueCache(this.#parts.config, newcomers.length) : undefined;
    const staying = await this.#advance(newcomers, cache);
    cache?.keep(staying);
    this.#active.push(...staying.map((s) => newcomers[s]));
    if (cache) this.#cache = this.#cache?.joinedWith(cache) ?? cache;
  }

  /** One more token of every sequence. */
  async step(): Promise<void> {
    this.#keep(this.#active.flatMap((sequence, s) => (sequence.finishReason === undefined ? [s] : [])));
    if (this.size > 0) this.#keep(await this.#advance(this.#active, this.#cache));
  }

  #keep(staying: readonly number[]): void {
    this.#active = staying.map((s) => this.#active[s]);
    this.#cache?.keep(staying);
    if (this.size === 0) this.#cache = undefined;
  }

  /** @returns indices of the sequences that go on */
  async #advance(sequences: readonly GrowingSequence[], cache: KeyValueCache | undefined): Promise<number[]> {
    const isCached = cache !== undefined;
    const fed = sequences.map((sequence) => sequence.feed(isCached));
    const { hidden, gates } = await this.#parts.trunk.run(fed, this.#hooks, cache);
    const nextIds = await this.#chooseTokens(sequences, hidden);
    return sequences.flatMap((sequence, s) => {
      sequence.hear(gates[s].firings, isCached);
      sequence.push(nextIds[s]);
      return sequence.finishReason === undefined ? [s] : [];
    });
  }

  /** @param hidden [sequences, dModel] */
  async #chooseTokens(sequences: readonly GrowingSequence[], hidden: Float32Array): Promise<readonly number[]> {
    const { head } = this.#parts;
    const isGreedy = ({ options }: GrowingSequence) => (options.temperature ?? 0) === 0;
    const count = sequences.length;
    if (sequences.every(isGreedy)) {
      const { argMaxIds, logProbabilities } = await head.score(hidden, new Array(count).fill(0));
      requireNumbers(logProbabilities);
      return argMaxIds;
    }
    const logits = await head.logits(hidden, count);
    return sequences.map(({ options, random }, s) => sampleToken(logits[s], options, random));
  }
}

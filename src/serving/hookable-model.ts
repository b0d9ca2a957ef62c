import type { GateKind, HookLayer, ModelLimits } from '../editing/index.js';
import { InvalidInputError } from '../errors.js';
import type { Model } from '../model/index.js';
import type { Device } from '../runtime/index.js';
import { type Tensor, tensor } from '../tensor/index.js';
import {
  checkGeneration,
  checkHookableLayers,
  checkHooks,
  checkSequence,
  requirePositiveInteger,
} from './check-requests.js';
import { Decoder } from './decoder.js';
import type { HookFiring } from './firings.js';
import { groupByLength } from './group-by-length.js';
import { type Generated, GrowingSequence, type SequenceOptions } from './growing-sequence.js';
import { SequenceBatch } from './sequence-batch.js';
import { Trunk, type TrunkSequence } from './trunk.js';
import { VocabularyHead } from './vocabulary-head.js';

/** How an edited model is made ready. */
export interface HookableModelOptions {
  /** Layers that can carry hooks; empty is the base model only. */
  readonly layers: readonly number[];
  readonly gate: GateKind;
  /** The CPU by default. */
  readonly device?: Device;
  /** Tokens of one forward pass, padding included; 1024 by default. A longer sequence is run by itself. */
  readonly rowsPerBatch?: number;
}

/** A sequence some of whose tokens are scored. */
export interface ScoreRequest {
  readonly tokenIds: readonly number[];
  /** First position whose token is scored, 1 .. length. With the length, nothing is scored and only gates are read. */
  readonly scoredFrom: number;
}

/** The scores of the n tokens from `scoredFrom` on. */
export interface Score {
  /** [n]: natural logarithms, each given all tokens before. */
  readonly logProbabilities: Float32Array;
  /** [n]: most probable token at the same places. */
  readonly argMaxIds: readonly number[];
  /** Gates that opened anywhere in the sequence. */
  readonly firings: readonly HookFiring[];
  /** [tokens]: strongest signal of any layer at each token of the sequence; NaN without a gate. */
  readonly strengths: Float32Array;
  /** Whether these are the base model's own numbers, bit for bit, because no gate opened. */
  readonly isBase: boolean;
}

/** Base and edited model on one sequence. Sums run over the predicted tokens: all but the first. */
export interface Comparison {
  readonly predictedTokens: number;
  /** Sum of negative log-probabilities, nats. */
  readonly baseNll: number;
  readonly editedNll: number;
  /** Sum of `KL(p_base || p_edited)` over the whole vocabulary, nats; the mean is `klSum / predictedTokens`. */
  readonly klSum: number;
  /** Rows at which some gate opened; NaN if gates cannot be read. */
  readonly openRows: number;
  /** Tokens of the sequence. */
  readonly rows: number;
  readonly firings: readonly HookFiring[];
  /** [rows]: strongest signal of any layer; NaN without a gate. */
  readonly strengths: Float32Array;
}

/** How generations go on and when they end. */
export interface GenerateOptions extends Omit<SequenceOptions, 'onToken'> {
  /** One for each hookable layer; undefined is the base model. */
  readonly hooks?: readonly HookLayer[];
  /** Called for every token of the results as it comes. */
  readonly onToken?: (promptIndex: number, tokenId: number) => void;
}

/** How a single generation goes on and when it ends. */
export interface DecodeOptions extends SequenceOptions {
  /** One for each hookable layer, and the same array for the same hooks; undefined is the base model. */
  readonly hooks?: readonly HookLayer[];
  /** Ends the generation early. */
  readonly signal?: AbortSignal;
}

/** Told after every forward pass how many of the sequences are done. */
export type SequenceProgress = (done: number, total: number) => void;

/**
 * A base model that can carry hooks. One compilation serves every version: hooks are given with each call, and without
 * them the numbers are exactly the base model's. Where no gate opens, edited and base model agree bit for bit.
 *
 * Every method throws {@link InvalidInputError} for a sequence that is empty, longer than the model's `maxTokens` or
 * outside the vocabulary, and for hooks that are not one for each hookable layer.
 */
export class HookableModel {
  readonly #decoder = new Decoder((hooks) => this.#batchUnder(hooks));
  readonly #options: Required<Omit<HookableModelOptions, 'device'>>;
  readonly #trunk: Trunk;
  readonly #head: VocabularyHead;

  private constructor(
    readonly model: Model,
    options: Required<Omit<HookableModelOptions, 'device'>>,
    trunk: Trunk,
    head: VocabularyHead,
  ) {
    this.#options = options;
    this.#trunk = trunk;
    this.#head = head;
  }

  /**
   * @throws {InvalidInputError} if a layer is not one of the model's
   * @throws {PermanentError} if the device cannot run it, {TransientError} if it is out of memory
   */
  static async compile(model: Model, options: HookableModelOptions): Promise<HookableModel> {
    const { layers, gate, device, rowsPerBatch = 1024 } = options;
    checkHookableLayers(layers, model.config);
    requirePositiveInteger('rowsPerBatch', rowsPerBatch);
    const trunk = await Trunk.compile(model, layers, gate, device);
    return new HookableModel(model, { layers, gate, rowsPerBatch }, trunk, new VocabularyHead(model, device));
  }

  /** Which sequences it takes. */
  get limits(): ModelLimits {
    return this.model.config;
  }

  /**
   * Teacher-forced scores, in the order of the requests.
   *
   * @param hooks one for each hookable layer; undefined is the base model
   * @throws {InvalidInputError} also if `scoredFrom` is out of range
   */
  async score(
    requests: readonly ScoreRequest[],
    hooks?: readonly HookLayer[],
    onProgress?: SequenceProgress,
  ): Promise<Score[]> {
    this.#checkSequences(requests.map((request) => request.tokenIds));
    requests.forEach(checkScoredFrom);
    this.#checkHooks(hooks);
    const results = new Array<Score>(requests.length);
    await this.#inGroups(requests, onProgress, async (group, indices) => {
      const targetIds = group.map(({ tokenIds, scoredFrom }) => tokenIds.slice(scoredFrom));
      const { hidden, gates } = await this.#trunk.run(group.map(predictingRows), hooks);
      const scores = await this.#head.score(hidden, targetIds.flat());
      let row = 0;
      indices.forEach((index, s) => {
        const end = row + targetIds[s].length;
        results[index] = {
          logProbabilities: scores.logProbabilities.slice(row, end),
          argMaxIds: scores.argMaxIds.slice(row, end),
          firings: gates[s].firings,
          strengths: gates[s].strengths,
          isBase: gates[s].openRows === 0,
        };
        row = end;
      });
    });
    return results;
  }

  /**
   * Continues each prompt; results are in the order of the prompts. Earlier tokens are cached, except with the sequence
   * gate: its decisions on them change as the sequence grows, so every step runs the whole sequence again.
   *
   * @throws {InvalidInputError} also for an option out of range
   */
  async generate(prompts: readonly (readonly number[])[], options: GenerateOptions): Promise<Generated[]> {
    this.#checkSequences(prompts);
    this.#checkHooks(options.hooks);
    checkGeneration(options);
    const { hooks, onToken, ...settings } = options;
    const sequences = prompts.map((tokenIds, p) => {
      const listener = onToken && { onToken: (tokenId: number) => void onToken(p, tokenId) };
      return new GrowingSequence(tokenIds, { ...settings, ...listener }, this.model.config.maxTokens, p);
    });
    for (const indices of this.#generationGroups(prompts, options.maxTokens, this.#isCausalUnder(hooks))) {
      const batch = this.#batchUnder(hooks);
      await batch.join(indices.map((index) => sequences[index]));
      while (batch.size > 0) await batch.step();
    }
    return sequences.map(({ result }) => result);
  }

  /**
   * Continues one prompt. It is computed together with all others that are being decoded with the same hooks: for many
   * callers at the same time, who want their tokens as they come.
   *
   * @throws {InvalidInputError} also for an option out of range
   */
  async decode(prompt: readonly number[], options: DecodeOptions): Promise<Generated> {
    this.#checkSequences([prompt]);
    this.#checkHooks(options.hooks);
    checkGeneration(options);
    const { hooks, signal, ...settings } = options;
    const sequence = new GrowingSequence(prompt, settings, this.model.config.maxTokens);
    const abort = () => {
      sequence.finishReason ??= 'aborted';
    };
    if (signal?.aborted) abort();
    signal?.addEventListener('abort', abort, { once: true });
    try {
      return await this.#decoder.run(sequence, hooks);
    } finally {
      signal?.removeEventListener('abort', abort);
    }
  }

  /**
   * Logits after every token of each sequence.
   *
   * @param hooks one for each hookable layer; undefined is the base model
   * @returns float32 [tokens, vocab] of each sequence
   */
  async logits(sequences: readonly (readonly number[])[], hooks?: readonly HookLayer[]): Promise<Tensor<'float32'>[]> {
    this.#checkSequences(sequences);
    this.#checkHooks(hooks);
    const { vocab } = this.model.config;
    const results = new Array<Tensor<'float32'>>(sequences.length);
    const requests = sequences.map((tokenIds) => ({ tokenIds, scoredFrom: 0 }));
    await this.#inGroups(requests, undefined, async (group, indices) => {
      const rows = group.map(({ tokenIds }) => ({ tokenIds, lookups: [...tokenIds.keys()] }));
      const { hidden } = await this.#trunk.run(rows, hooks);
      const logits = await this.#head.logits(hidden, hidden.length / this.model.config.dModel);
      let row = 0;
      group.forEach(({ tokenIds: { length } }, s) => {
        const all = new Float32Array(length * vocab);
        for (let t = 0; t < length; t++) all.set(logits[row++], t * vocab);
        results[indices[s]] = tensor('float32', [length, vocab], all);
      });
    });
    return results;
  }

  /** How far the edited model is from the base model on each sequence. Whole distributions are compared. */
  async compare(
    sequences: readonly (readonly number[])[],
    hooks: readonly HookLayer[],
    onProgress?: SequenceProgress,
  ): Promise<Comparison[]> {
    this.#checkSequences(sequences);
    this.#checkHooks(hooks);
    const requests = sequences.map((tokenIds) => ({ tokenIds, scoredFrom: 1 }));
    const results = new Array<Comparison>(sequences.length);
    await this.#inGroups(requests, onProgress, async (group, indices) => {
      const rows = group.map(predictingRows);
      const { hidden, gates } = await this.#trunk.run(rows, hooks);
      const states = cut(hidden, rows, this.model.config.dModel);
      const opened = gates.flatMap(({ openRows }, s) => (openRows > 0 ? [s] : []));
      const closed = gates.flatMap(({ openRows }, s) => (openRows > 0 ? [] : [s]));
      const sums = new Map([
        ...(await this.#divergences(opened, rows, states)),
        // Where no gate opens, the base model's states are the same numbers.
        ...(await this.#ownSums(closed, rows, states)),
      ]);
      indices.forEach((index, s) => {
        const { length } = group[s].tokenIds;
        results[index] = { predictedTokens: length - 1, ...sums.get(s)!, rows: length, ...gates[s] };
      });
    });
    return results;
  }

  /** Frees the programs; a second call does nothing. */
  async dispose(): Promise<void> {
    await Promise.all([this.#trunk.dispose(), this.#head.dispose()]);
  }

  /** The sums of sequences in which a gate opened, by their indices. */
  async #divergences(
    opened: readonly number[],
    rows: readonly TrunkSequence[],
    states: readonly Float32Array[],
  ): Promise<[number, ComparisonSums][]> {
    if (opened.length === 0) return [];
    const own = opened.map((s) => rows[s]);
    const base = await this.#trunk.run(own, undefined);
    const edited = joined(opened.map((s) => states[s]));
    const divergence = await this.#head.compare(base.hidden, edited, own.flatMap(nextIds));
    const [kl, baseNll, editedNll] = (['kl', 'baseNll', 'editedNll'] as const).map((name) =>
      cut(divergence[name], own),
    );
    return opened.map((s, i) => [s, { baseNll: sum(baseNll[i]), editedNll: sum(editedNll[i]), klSum: sum(kl[i]) }]);
  }

  /** The sums of sequences on which both models are the same, by their indices. */
  async #ownSums(
    closed: readonly number[],
    rows: readonly TrunkSequence[],
    states: readonly Float32Array[],
  ): Promise<[number, ComparisonSums][]> {
    const own = closed.map((s) => rows[s]);
    const { logProbabilities } = await this.#head.score(joined(closed.map((s) => states[s])), own.flatMap(nextIds));
    return cut(logProbabilities, own).map((scored, i) => {
      const nll = 0 - sum(scored);
      return [closed[i], { baseNll: nll, editedNll: nll, klSum: 0 }];
    });
  }

  async #inGroups(
    requests: readonly ScoreRequest[],
    onProgress: SequenceProgress | undefined,
    run: (group: readonly ScoreRequest[], indices: readonly number[]) => Promise<void>,
  ): Promise<void> {
    const lengths = requests.map((request) => request.tokenIds.length);
    let done = 0;
    for (const indices of groupByLength(lengths, this.#options.rowsPerBatch)) {
      await run(
        indices.map((index) => requests[index]),
        indices,
      );
      done += indices.length;
      onProgress?.(done, requests.length);
    }
  }

  /** Steps of one token are cheap, but caches are large: a group has at most four times the rows of a forward pass. */
  #generationGroups(prompts: readonly (readonly number[])[], maxTokens: number, isCausal: boolean): number[][] {
    const lengths = prompts.map(({ length }) => {
      const grown = Math.min(length + maxTokens, this.model.config.maxTokens);
      return isCausal ? Math.max(length, Math.ceil(grown / 4)) : grown;
    });
    return groupByLength(lengths, this.#options.rowsPerBatch);
  }

  #batchUnder(hooks: readonly HookLayer[] | undefined): SequenceBatch {
    const parts = { trunk: this.#trunk, head: this.#head, config: this.model.config };
    return new SequenceBatch(parts, hooks, this.#isCausalUnder(hooks));
  }

  #isCausalUnder(hooks: readonly HookLayer[] | undefined): boolean {
    return this.#options.gate !== 'sequence' || hooks === undefined;
  }

  #checkSequences(sequences: readonly (readonly number[])[]): void {
    sequences.forEach((tokenIds, s) => {
      checkSequence(`sequence ${s}`, tokenIds, this.model.config);
    });
  }

  #checkHooks(hooks: readonly HookLayer[] | undefined): void {
    if (hooks) checkHooks(hooks, this.#options.layers, this.#options.gate, this.model.config);
  }
}

function checkScoredFrom({ tokenIds, scoredFrom }: ScoreRequest, index: number): void {
  if (Number.isInteger(scoredFrom) && scoredFrom >= 1 && scoredFrom <= tokenIds.length) return;
  throw new InvalidInputError(
    `scoredFrom of sequence ${index}`,
    `a position of 1 .. ${tokenIds.length}`,
    String(scoredFrom),
  );
}

/** The rows before the scored tokens. Each predicts the next token. */
function predictingRows({ tokenIds, scoredFrom }: ScoreRequest) {
  return {
    tokenIds,
    lookups: Array.from({ length: tokenIds.length - scoredFrom }, (_, i) => scoredFrom - 1 + i),
  };
}

type ComparisonSums = Pick<Comparison, 'baseNll' | 'editedNll' | 'klSum'>;

/** The tokens that the rows of a whole sequence predict. */
const nextIds = ({ tokenIds }: TrunkSequence): readonly number[] => tokenIds.slice(1);

/** Numbers of consecutive rows, so many a row, cut into those of each sequence. */
function cut(numbers: Float32Array, sequences: readonly TrunkSequence[], each = 1): Float32Array[] {
  let from = 0;
  return sequences.map(({ lookups }) => {
    const start = from;
    from += each * lookups.length;
    return numbers.subarray(start, from);
  });
}

function joined(parts: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(parts.reduce((length, part) => length + part.length, 0));
  let from = 0;
  for (const part of parts) {
    all.set(part, from);
    from += part.length;
  }
  return all;
}

function sum(numbers: Float32Array): number {
  return numbers.reduce((total, number) => total + number, 0);
}

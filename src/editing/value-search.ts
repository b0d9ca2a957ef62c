import { type Model, type ModelConfig, packSequences } from '../model/index.js';
import { compile, type Device, type Program } from '../runtime/index.js';
import { type Tensor, tensor } from '../tensor/index.js';
import { descend, entryOf, subjectSearch, type ValueTarget } from './edit-search.js';
import { type Hyperparameters, valueLayer } from './hyperparameters.js';
import { batchByRows } from './micro-batch.js';
import { type ObjectiveSequence, objectiveSequences, suffixLength } from './objective-sequence.js';
import type { TokenizedSubject } from './prompts.js';
import { belowValueLayer, objectiveGraph, prefixAboveValueLayer } from './value-graphs.js';
import { type ObjectiveEvaluation, ValueObjective, type WordParts } from './value-objective.js';

/** A value and the index of its subject among those searched for. */
export interface FoundTarget {
  readonly index: number;
  readonly target: ValueTarget;
}

/** How a search is run. */
export interface ValueSearchOptions {
  /** Bytes that the activations of one micro-batch may take. */
  readonly memoryBudgetBytes?: number;
  /** Tokens that do not follow a target, because they would go on with its last word. */
  readonly wordParts?: WordParts;
  /** Called after each step of a micro-batch. */
  readonly onStep?: (event: { readonly finished: number; readonly active: number }) => void;
}

/** Default of {@link ValueSearchOptions.memoryBudgetBytes}: 1.5 GiB. */
export const defaultMemoryBudgetBytes = 1.5 * 2 ** 30;

/**
 * Seeks values: for each subject what to add to the output of block L at it so that the base model says the targets of all its
 * facts, while what it says of the subject otherwise stays (arXiv 2403.05330, section 3.1; MEMIT's `compute_z`, and for
 * several facts MEMIT-Merge, arXiv 2502.07322). A value depends on nothing but its subject's facts, so no round before changes it.
 *
 * The objective is that of running the whole model at every step, at a fraction of the cost. Everything up to block L,
 * and all positions before the subject, are computed once. A step runs the suffixes of many subjects at once through the
 * blocks above L. Subjects that are done leave the batch.
 */
export class ValueSearch {
  readonly #model: Model;
  readonly #settings: Hyperparameters;
  readonly #below: Program;
  /** Undefined if there is no block above the value layer. */
  readonly #prefix: Program | undefined;
  readonly #objective: Program;

  private constructor(
    model: Model,
    settings: Hyperparameters,
    below: Program,
    prefix: Program | undefined,
    objective: Program,
  ) {
    this.#model = model;
    this.#settings = settings;
    this.#below = below;
    this.#prefix = prefix;
    this.#objective = objective;
  }

  /** @param compileGraph makes the programs, in the order of their use; measurements pass their own */
  static async compile(
    model: Model,
    settings: Hyperparameters,
    device?: Device,
    compileGraph: typeof compile = compile,
  ): Promise<ValueSearch> {
    const options = device ? { device } : {};
    return new ValueSearch(
      model,
      settings,
      await compileGraph(belowValueLayer(model, settings), options),
      blocksAbove(model, settings) === 0
        ? undefined
        : await compileGraph(prefixAboveValueLayer(model, settings), options),
      await compileGraph(objectiveGraph(model, settings), options),
    );
  }

  /** One value per subject, in their order. */
  async search(subjects: readonly TokenizedSubject[], options: ValueSearchOptions = {}): Promise<ValueTarget[]> {
    const results = new Array<ValueTarget>(subjects.length);
    for await (const batch of this.searchBatches(subjects, options)) {
      for (const { index, target } of batch) results[index] = target;
    }
    return results;
  }

  /** The same, but yields each micro-batch when it is done, so that a stopped search keeps what it has found. */
  async *searchBatches(
    subjects: readonly TokenizedSubject[],
    options: ValueSearchOptions = {},
  ): AsyncGenerator<readonly FoundTarget[]> {
    const budget = options.memoryBudgetBytes ?? defaultMemoryBudgetBytes;
    const rowsPerBatch = Math.max(1, Math.floor(budget / objectiveRowBytes(this.#model.config, this.#settings)));
    const rowsOf = (subject: TokenizedSubject) =>
      objectiveSequences(subject, 0, this.#settings).reduce((rows, sequence) => rows + suffixLength(sequence), 0);
    let finished = 0;
    for (const batch of batchByRows(bySuffix(subjects), ({ subject }) => rowsOf(subject), rowsPerBatch)) {
      const found = await this.#searchBatch(
        batch.map(({ subject }) => subject),
        (active) => options.onStep?.({ finished: finished + batch.length - active, active }),
        options.wordParts,
      );
      finished += batch.length;
      yield batch.map(({ index }, i) => ({ index, target: found[i] }));
    }
  }

  /** The objective of a batch of subjects, and what each of its sequences says at `delta = 0`. */
  async prepare(
    subjects: readonly TokenizedSubject[],
    wordParts?: WordParts,
  ): Promise<{ readonly objective: ValueObjective; readonly atZero: ObjectiveEvaluation }> {
    const sequences = subjects.flatMap((subject, s) => objectiveSequences(subject, s, this.#settings));
    const hidden = await this.#hiddenBelow(sequences);
    const { config } = this.#model;
    const prefixes = hidden.map((rows, s) => rows.subarray(0, sequences[s].lookups[0] * config.dModel));
    const past = await this.#prefixPast(sequences, prefixes);
    const suffixes = hidden.map((rows, s) => rows.subarray(sequences[s].lookups[0] * config.dModel));
    return ValueObjective.create(
      { model: this.#model, firstLayer: valueLayer(this.#settings) + 1, objective: this.#objective },
      subjects.length,
      sequences,
      suffixes,
      past,
      wordParts,
    );
  }

  async dispose(): Promise<void> {
    for (const program of [this.#below, this.#prefix, this.#objective]) await program?.dispose();
  }

  /**
   * The products over a whole batch spread a number that is none from one subject to all. So a batch with such numbers is
   * halved until the subjects that they come from are alone.
   */
  async #searchBatch(
    subjects: readonly TokenizedSubject[],
    onStep: (active: number) => void,
    wordParts: WordParts | undefined,
  ): Promise<ValueTarget[]> {
    const { objective, atZero } = await this.prepare(subjects, wordParts);
    const searches = subjects.map((subject, s) => {
      const sequences = objective.sequencesOf(s);
      return subjectSearch({
        id: subject.id,
        dModel: this.#model.config.dModel,
        norm: objective.hiddenNormOf(s),
        sequences,
        atZero: sequences.map(({ sequence }) => entryOf(atZero, sequence)),
        taughtPerTurn: taughtTextsPerStep(this.#settings, subject),
        settings: this.#settings,
      });
    });
    const isOfNumbers = await descend(objective, searches, onStep);
    const found = searches.map((search) => search.result());
    if (isOfNumbers) return found;
    if (found.length === 1) return [{ ...found[0], nll: Number.NaN, hit: false }];
    const half = subjects.length >> 1;
    return [
      ...(await this.#searchBatch(subjects.slice(0, half), onStep, wordParts)),
      ...(await this.#searchBatch(subjects.slice(half), onStep, wordParts)),
    ];
  }

  /** Block-L output of every sequence: float32 [tokens, dModel] each. */
  async #hiddenBelow(sequences: readonly ObjectiveSequence[]): Promise<Float32Array[]> {
    const { config } = this.#model;
    const tokenIds = sequences.flatMap((sequence) => [...sequence.tokenIds]);
    const { hidden } = await this.#below.run({
      ...packSequences(
        config,
        sequences.map(({ tokenIds }) => ({ past: 0, length: tokenIds.length })),
      ),
      tokenIds: tensor('int64', [tokenIds.length], BigInt64Array.from(tokenIds, BigInt)),
    });
    const data = hidden.data as Float32Array;
    let offset = 0;
    return sequences.map(({ tokenIds }) => {
      const start = offset;
      offset += tokenIds.length * config.dModel;
      return data.subarray(start, offset);
    });
  }

  /** Keys and values above L of the tokens before each subject, `past.<part>.<layer>` [batch, past, width]. */
  async #prefixPast(
    sequences: readonly ObjectiveSequence[],
    prefixes: readonly Float32Array[],
  ): Promise<Record<string, Tensor>> {
    const { config } = this.#model;
    const rows = prefixes.reduce((sum, prefix) => sum + prefix.length, 0) / config.dModel;
    const width = config.keyValueHeads * config.dHead;
    const layers = Array.from({ length: config.layers }, (_, l) => l).slice(valueLayer(this.#settings) + 1);
    if (rows === 0 || this.#prefix === undefined) {
      const empty = () => tensor('float32', [sequences.length, 1, width], new Float32Array(sequences.length * width));
      return Object.fromEntries(
        layers.flatMap((l) => ['keys', 'values'].map((part) => [`past.${part}.${l}`, empty()])),
      );
    }
    const hidden = new Float32Array(rows * config.dModel);
    let offset = 0;
    for (const prefix of prefixes) {
      hidden.set(prefix, offset);
      offset += prefix.length;
    }
    const outputs = await this.#prefix.run({
      ...packSequences(
        config,
        sequences.map(({ lookups }) => ({ past: 0, length: lookups[0] })),
      ),
      hidden: tensor('float32', [rows, config.dModel], hidden),
    });
    return Object.fromEntries(Object.entries(outputs).map(([name, value]) => [`past.${name}`, value]));
  }
}

/** How many taught texts a step looks at: every fact of a subject comes up in each, for they pull at one value. */
export function taughtTextsPerStep(
  { templatesPerStep }: Pick<Hyperparameters, 'templatesPerStep'>,
  { facts }: Pick<TokenizedSubject, 'facts'>,
): number {
  return templatesPerStep === 0 ? 0 : Math.max(templatesPerStep, facts.length);
}

/** Sorts subjects by the length of their suffixes, so that a batch's attention rectangle holds little padding. */
function bySuffix(
  subjects: readonly TokenizedSubject[],
): { readonly subject: TokenizedSubject; readonly index: number }[] {
  const longest = ({ facts, kept }: TokenizedSubject) =>
    Math.max(
      ...[...facts.flatMap(({ texts }) => texts), ...kept].map(({ tokenIds, lookups }) => tokenIds.length - lookups[0]),
    );
  return subjects.map((subject, index) => ({ subject, index })).sort((a, b) => longest(a.subject) - longest(b.subject));
}

/**
 * Bytes of float32 activations that one row of the objective keeps for the backward pass. In every block above L these
 * are about twelve vectors of the model's width and eight of the MLP's inner width. A share of the logits comes on top.
 */
export function objectiveRowBytes(config: ModelConfig, settings: Pick<Hyperparameters, 'layers'>): number {
  const blocks = blocksAbove({ config }, settings);
  const logitShare = 0.25;
  return 4 * (blocks * (12 * config.dModel + 8 * config.dInner) + logitShare * 4 * config.vocab);
}

function blocksAbove({ config }: Pick<Model, 'config'>, settings: Pick<Hyperparameters, 'layers'>): number {
  return config.layers - valueLayer(settings) - 1;
}

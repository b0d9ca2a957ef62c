import { type Model, packSequences } from '../model/index.js';
import { compile, type Device, type Program, rowsPerBatch } from '../runtime/index.js';
import { tensor } from '../tensor/index.js';
import { isOfNumbers, type RunningSearch, stepTogether, subjectSearch, type ValueTarget } from './edit-search.js';
import { type Hyperparameters, valueLayer } from './hyperparameters.js';
import { isLargeModel } from './large-model.js';
import { batchByRows } from './micro-batch.js';
import { concatenate } from './objective-feeds.js';
import { type ObjectiveSequence, objectiveSequences } from './objective-sequence.js';
import type { TokenizedSubject } from './prompts.js';
import {
  beginningOf,
  blocksAbove,
  objectiveRowBytes,
  type SubjectSizes,
  subjectSizes,
  taughtTextsPerStep,
} from './subject-sizes.js';
import { belowValueLayer, objectiveGraph, prefixAboveValueLayer } from './value-graphs.js';
import {
  type ObjectivePrograms,
  type PartEvaluation,
  type SequenceStart,
  ValueObjective,
  type WordParts,
} from './value-objective.js';

/** A value and the index of its subject among those searched for. */
export interface FoundTarget {
  readonly index: number;
  readonly target: ValueTarget;
}

/** How a search is run. */
export interface ValueSearchOptions {
  /** Bytes that the subjects in work may take: the activations of a step, and what is kept of each for its next one. */
  readonly memoryBudgetBytes?: number;
  /** Tokens that do not follow a target, because they would go on with its last word. */
  readonly wordParts?: WordParts;
  /** Called before each step. */
  readonly onStep?: (event: { readonly finished: number; readonly active: number }) => void;
}

/** A subject, and its index among those searched for. */
interface SubjectAt {
  readonly subject: TokenizedSubject;
  readonly index: number;
}

type SearchInWork = RunningSearch & SubjectAt & SubjectSizes;

/** An objective, and what each of its sequences says at `delta = 0`. */
interface Prepared {
  readonly objective: ValueObjective;
  readonly atZero: readonly PartEvaluation[];
}

interface PreparationOptions {
  readonly wordParts?: WordParts | undefined;
  /** How many rows are evaluated at once. */
  readonly rowsPerRun?: number;
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
 * blocks above L. A subject that is done leaves, and the next one takes its place, so that steps stay as full as memory allows.
 */
export class ValueSearch {
  readonly #model: Model;
  readonly #settings: Hyperparameters;
  readonly #below: Program;
  /** Undefined if there is no block above the value layer, or the objective's program says what this one would. */
  readonly #prefix: Program | undefined;
  readonly #above: ObjectivePrograms;

  private constructor(
    settings: Hyperparameters,
    below: Program,
    prefix: Program | undefined,
    above: ObjectivePrograms,
  ) {
    this.#model = above.model;
    this.#settings = settings;
    this.#below = below;
    this.#prefix = prefix;
    this.#above = above;
  }

  /** @param compileGraph makes the programs, in the order of their use; measurements pass their own */
  static async compile(
    model: Model,
    settings: Hyperparameters,
    device?: Device,
    compileGraph: typeof compile = compile,
  ): Promise<ValueSearch> {
    const options = device ? { device } : {};
    const saysPast = blocksAbove(model, settings) > 0 && isLargeModel(model);
    const below = await compileGraph(belowValueLayer(model, settings), options);
    const prefix =
      blocksAbove(model, settings) === 0 || saysPast
        ? undefined
        : await compileGraph(prefixAboveValueLayer(model, settings), options);
    const objective = await compileGraph(objectiveGraph(model, settings, { saysPast }), options);
    return new ValueSearch(settings, below, prefix, { model, objective, saysPast });
  }

  /** One value per subject, in their order. */
  async search(subjects: readonly TokenizedSubject[], options: ValueSearchOptions = {}): Promise<ValueTarget[]> {
    const results = new Array<ValueTarget>(subjects.length);
    for await (const batch of this.searchBatches(subjects, options)) {
      for (const { index, target } of batch) results[index] = target;
    }
    return results;
  }

  /** The same, but yields values as they are found, so that a stopped search keeps what it has found. */
  async *searchBatches(
    subjects: readonly TokenizedSubject[],
    options: ValueSearchOptions = {},
  ): AsyncGenerator<readonly FoundTarget[]> {
    const waiting = bySuffix(subjects);
    let running: readonly SearchInWork[] = [];
    let finished = 0;
    while (running.length + waiting.length > 0) {
      running = [...running, ...(await this.#start(waiting, running, options))];
      options.onStep?.({ finished, active: running.length });
      const lost = await stepTogether(running, this.#rowsPerRun(running, options));
      const ended = running.filter((one) => lost.has(one) || one.search.isDone);
      if (ended.length === 0) continue;
      running = running.filter((one) => !ended.includes(one));
      finished += ended.length;
      options.onStep?.({ finished, active: running.length });
      yield ended.map((one) => ({
        index: one.index,
        target: { ...one.search.result(), ...(lost.has(one) && { nll: Number.NaN, hit: false }) },
      }));
    }
  }

  /** Starts as many of the waiting searches as there is memory for beside the running ones, and one if there are none. */
  async #start(
    waiting: SubjectAt[],
    running: readonly SearchInWork[],
    { memoryBudgetBytes = defaultMemoryBudgetBytes, wordParts }: ValueSearchOptions,
  ): Promise<SearchInWork[]> {
    const rowBytes = objectiveRowBytes(this.#model.config, this.#settings);
    const bytesOf = ({ stepRows, keptBytes }: SubjectSizes) => stepRows * rowBytes + keptBytes;
    let free = memoryBudgetBytes - running.reduce((sum, one) => sum + bytesOf(one), 0);
    const chosen: (SubjectAt & SubjectSizes)[] = [];
    while (waiting.length > 0) {
      const sizes = subjectSizes(this.#model.config, this.#settings, waiting[0].subject);
      free -= bytesOf(sizes);
      if (free < 0 && running.length + chosen.length > 0) break;
      chosen.push({ ...waiting.shift()!, ...sizes });
    }
    const rowsPerRun = this.#rowsPerRun([...running, ...chosen], { memoryBudgetBytes });
    const started: SearchInWork[] = [];
    for (const batch of batchByRows(chosen, ({ tokens }) => tokens, rowsPerBatch)) {
      const prepared = await this.#prepareApart(
        batch.map(({ subject }) => subject),
        { wordParts, rowsPerRun },
      );
      started.push(...batch.map((one, s) => ({ ...one, ...this.#searchOf(one.subject, prepared[s]) })));
    }
    return started;
  }

  /** How many rows of the objective can run at once beside what is kept of these subjects. */
  #rowsPerRun(
    subjects: readonly SubjectSizes[],
    { memoryBudgetBytes = defaultMemoryBudgetBytes }: Pick<ValueSearchOptions, 'memoryBudgetBytes'>,
  ): number {
    const kept = subjects.reduce((sum, { keptBytes }) => sum + keptBytes, 0);
    return Math.max(1, Math.floor((memoryBudgetBytes - kept) / objectiveRowBytes(this.#model.config, this.#settings)));
  }

  #searchOf(subject: TokenizedSubject, { objective, atZero }: Prepared): Pick<SearchInWork, 'objective' | 'search'> {
    const sequences = objective.sequencesOf(0);
    const search = subjectSearch({
      id: subject.id,
      dModel: this.#model.config.dModel,
      norm: objective.hiddenNormOf(0),
      sequences,
      atZero,
      taughtPerTurn: taughtTextsPerStep(this.#settings, subject),
      settings: this.#settings,
    });
    return { objective, search };
  }

  /** The objective of a batch of subjects, and what each of its sequences says at `delta = 0`. */
  async prepare(
    subjects: readonly TokenizedSubject[],
    { wordParts, rowsPerRun = rowsPerBatch }: PreparationOptions = {},
  ): Promise<Prepared> {
    const sequences = subjects.flatMap((subject, s) => objectiveSequences(subject, s, this.#settings));
    const { config } = this.#model;
    const hidden = await this.#hiddenBelow(sequences);
    const lengths = sequences.map(({ lookups }) => lookups[0] * config.dModel);
    const before = hidden.map((rows, s) => rows.subarray(0, lengths[s]));
    const pasts = await this.#pasts(sequences, before, rowsPerRun);
    return ValueObjective.create(this.#above, {
      subjects: subjects.length,
      sequences,
      starts: hidden.map((rows, s): SequenceStart => ({ suffix: rows.slice(lengths[s]), past: pasts[s] })),
      wordParts,
      rowsPerRun,
    });
  }

  /**
   * The same for each subject by itself. A batch in which something is no number is halved, until the subjects that it comes from
   * are alone, because the products over a whole batch spread it to all.
   */
  async #prepareApart(subjects: readonly TokenizedSubject[], options: PreparationOptions): Promise<Prepared[]> {
    const together = await this.prepare(subjects, options);
    if (subjects.length === 1) return [together];
    if (together.atZero.every(isOfNumbers)) {
      return subjects.map((_, s) => {
        const own = together.objective.sequencesOf(s).map(({ sequence }) => ({ sequence, factor: 1 }));
        return {
          objective: together.objective.select([own]),
          atZero: own.map(({ sequence }) => together.atZero[sequence]),
        };
      });
    }
    const half = subjects.length >> 1;
    return [
      ...(await this.#prepareApart(subjects.slice(0, half), options)),
      ...(await this.#prepareApart(subjects.slice(half), options)),
    ];
  }

  async dispose(): Promise<void> {
    for (const program of [this.#below, this.#prefix, this.#above.objective]) await program?.dispose();
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

  /**
   * Keys and values above L of the tokens before each subject. Those of sequences that begin alike are computed and held once.
   *
   * @param before block-L output at them: float32 [past, dModel]
   */
  async #pasts(
    sequences: readonly ObjectiveSequence[],
    before: readonly Float32Array[],
    rowsPerRun: number,
  ): Promise<SequenceStart['past'][]> {
    const { config } = this.#model;
    const width = config.keyValueHeads * config.dHead;
    const tokensOf = (s: number) => before[s].length / config.dModel;
    const beginnings = new Map(sequences.map((sequence, s) => [beginningOf(sequence), s]));
    const chosen = [...beginnings.values()].filter((s) => before[s].length > 0);
    const pasts = new Map<string, SequenceStart['past']>();
    for (const run of batchByRows(chosen, tokensOf, this.#above.saysPast ? rowsPerRun : rowsPerBatch)) {
      const parts = Object.entries(await this.#pastOf(run.map((s) => before[s])));
      let start = 0;
      for (const s of run) {
        const end = start + tokensOf(s) * width;
        const past = parts.map(([name, data]) => [name, data.slice(start, end)] as const);
        pasts.set(beginningOf(sequences[s]), Object.fromEntries(past));
        start = end;
      }
    }
    const layers = Array.from({ length: config.layers }, (_, l) => l).slice(valueLayer(this.#settings) + 1);
    const names = layers.flatMap((l) => [`past.keys.${l}`, `past.values.${l}`]);
    const nothing = Object.fromEntries(names.map((name) => [name, new Float32Array()]));
    return sequences.map((sequence) => pasts.get(beginningOf(sequence)) ?? nothing);
  }

  /** `past.<part>.<layer>`: float32 [tokens, width] of some beginnings, one after the other; nothing if no block is above L. */
  async #pastOf(before: readonly Float32Array[]): Promise<Readonly<Record<string, Float32Array>>> {
    if (this.#above.saysPast) return ValueObjective.pastOf(this.#above, before);
    if (this.#prefix === undefined) return {};
    const { config } = this.#model;
    const hidden = concatenate(before);
    const outputs = await this.#prefix.run({
      ...packSequences(
        config,
        before.map((rows) => ({ past: 0, length: rows.length / config.dModel })),
      ),
      hidden: tensor('float32', [hidden.length / config.dModel, config.dModel], hidden),
    });
    return Object.fromEntries(
      Object.entries(outputs).map(([name, { data }]) => [`past.${name}`, data as Float32Array]),
    );
  }
}

/** Sorts subjects by the length of their suffixes, so that a batch's attention rectangle holds little padding. */
function bySuffix(subjects: readonly TokenizedSubject[]): SubjectAt[] {
  const longest = ({ facts, kept }: TokenizedSubject) =>
    Math.max(
      ...[...facts.flatMap(({ texts }) => texts), ...kept].map(({ tokenIds, lookups }) => tokenIds.length - lookups[0]),
    );
  return subjects.map((subject, index) => ({ subject, index })).sort((a, b) => longest(a.subject) - longest(b.subject));
}

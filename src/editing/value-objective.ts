import type { Model } from '../model/index.js';
import type { Program } from '../runtime/index.js';
import { type Tensor, tensor } from '../tensor/index.js';
import { euclideanNorm } from './adam.js';
import { batchByRows } from './micro-batch.js';
import { objectiveFeeds, type PreparedSequence, pastFeeds } from './objective-feeds.js';
import {
  type ObjectivePart,
  type ObjectiveSequence,
  type SearchedSequence,
  suffixLength,
} from './objective-sequence.js';

/** The compiled graphs that an objective is evaluated with. */
export interface ObjectivePrograms {
  readonly model: Model;
  readonly objective: Program;
  /** Whether the program also says keys and values; see {@link ObjectiveOptions.saysPast}. */
  readonly saysPast: boolean;
}

/** Loss terms and gradients of a batch of subjects, one entry per subject. */
export interface ObjectiveEvaluation {
  readonly nll: readonly number[];
  readonly keptLoss: readonly number[];
  /** float32 [dModel] each, of `nll + keptLoss` by delta. */
  readonly gradients: readonly Float32Array[];
  /** Whether all target tokens are the most probable ones. */
  readonly hits: readonly boolean[];
  /** Share of the kept positions at which the most probable token is the same as before. */
  readonly kept: readonly number[];
}

/** One entry of an {@link ObjectiveEvaluation}. */
export interface PartEvaluation {
  readonly nll: number;
  readonly keptLoss: number;
  /** float32 [dModel], of `nll + keptLoss` by delta. */
  readonly gradient: Float32Array;
  readonly hit: boolean;
  readonly kept: number;
}

export const entryOf = (
  { nll, keptLoss, gradients, hits, kept }: ObjectiveEvaluation,
  entry: number,
): PartEvaluation => ({
  nll: nll[entry],
  keptLoss: keptLoss[entry],
  gradient: gradients[entry],
  hit: hits[entry],
  kept: kept[entry],
});

/** What runs once for a sequence: float32 [suffix, dModel], and its keys and values above L of what stands before. */
export type SequenceStart = Pick<PreparedSequence, 'suffix' | 'past'>;

/** What an objective is made of. */
export interface ObjectiveMaterial {
  /** How many subjects the sequences are of. */
  readonly subjects: number;
  readonly sequences: readonly ObjectiveSequence[];
  /** One for each sequence. */
  readonly starts: readonly SequenceStart[];
  readonly wordParts?: WordParts | undefined;
  /** How many rows run at once. */
  readonly rowsPerRun: number;
}

/**
 * The objective of some subjects as a function of their deltas. Immutable: {@link select} gives a smaller objective of some of
 * their sequences, {@link join} one of many objectives together.
 */
export class ValueObjective {
  readonly #programs: ObjectivePrograms;
  readonly #subjects: number;
  readonly #sequences: readonly PreparedSequence[];

  private constructor(programs: ObjectivePrograms, subjects: number, sequences: readonly PreparedSequence[]) {
    this.#programs = programs;
    this.#subjects = subjects;
    this.#sequences = sequences;
  }

  /**
   * Evaluates every sequence by itself at `delta = 0`, its targets as if they had the weight 1 together. This also gives the
   * distributions to keep. At `delta = 0` they are compared with themselves, so their divergence and its gradient are 0.
   *
   * @returns `atZero` with one entry per sequence
   */
  static async create(
    programs: ObjectivePrograms,
    { subjects, sequences, starts, wordParts, rowsPerRun }: ObjectiveMaterial,
  ): Promise<{ readonly objective: ValueObjective; readonly atZero: readonly PartEvaluation[] }> {
    const { vocab, dModel } = programs.model.config;
    const unknown = new Float32Array(vocab);
    const zero = new Float64Array(dModel);
    const laidOut = sequences.map((sequence, s) => ({ ...sequence, ...starts[s] }));
    const prepared: PreparedSequence[] = [];
    const atZero: PartEvaluation[] = [];
    for (const run of batchByRows(laidOut, suffixLength, rowsPerRun)) {
      const apart = run.map((sequence, subject) => ({
        ...weighted(sequence, sequence.isTaught ? 1 / weightOf(sequence) : 0, 0),
        subject,
        keptBefore: sequence.kept.map(() => unknown),
      }));
      const blind = new ValueObjective(programs, run.length, apart);
      const { keptNow, ...evaluation } = await blind.#run(run.map(() => zero));
      let row = 0;
      run.forEach((sequence, entry) => {
        atZero.push({ ...entryOf(evaluation, entry), kept: 1 });
        const keptBefore = sequence.kept.map(() => {
          const before = keptNow.slice(row * vocab, ++row * vocab);
          return sequence.isTaught && wordParts ? withoutWordParts(before, wordParts) : before;
        });
        prepared.push({ ...sequence, keptBefore });
      });
    }
    return { objective: new ValueObjective(programs, subjects, prepared), atZero };
  }

  /**
   * Keys and values above L of what stands before some subjects, by the program of the objective itself, so that no other one has
   * to hold the same weights. It computes a gradient too, which nobody reads.
   *
   * @param before block-L output at it: float32 [tokens, dModel] each
   * @returns `past.<part>.<layer>`: float32 [tokens, width] of all of them, one after the other
   */
  static async pastOf(
    { model, objective }: ObjectivePrograms,
    before: readonly Float32Array[],
  ): Promise<Readonly<Record<string, Float32Array>>> {
    const names = objective.inputs.map(({ name }) => name).filter((name) => name.startsWith('past.'));
    const outputs = await objective.run(pastFeeds(model, names, before));
    return Object.fromEntries(names.map((name) => [name, outputs[name.slice('past.'.length)].data as Float32Array]));
  }

  /** Objectives of the same programs as one, the subjects of the first one first. */
  static join(objectives: readonly ValueObjective[]): ValueObjective {
    let subjects = 0;
    const sequences = objectives.flatMap((objective) => {
      const before = subjects;
      subjects += objective.#subjects;
      return objective.#sequences.map((sequence) => ({ ...sequence, subject: before + sequence.subject }));
    });
    return new ValueObjective(objectives[0].#programs, subjects, sequences);
  }

  /** Rows that an evaluation runs. */
  get rows(): number {
    return this.#sequences.reduce((sum, sequence) => sum + suffixLength(sequence), 0);
  }

  /** |z| of a subject: the norm of the block-L output at it in its first taught text. */
  hiddenNormOf(subject: number): number {
    const first = this.#sequences.find((sequence) => sequence.subject === subject)!;
    return euclideanNorm(Float64Array.from(first.suffix.subarray(0, this.#programs.model.config.dModel)));
  }

  /** A subject's sequences, in the order of the objective. */
  sequencesOf(subject: number): SearchedSequence[] {
    return this.#sequences.flatMap((one, sequence) =>
      one.subject === subject ? [{ sequence, isTaught: one.isTaught, weight: weightOf(one) }] : [],
    );
  }

  /**
   * @param deltas float64 [dModel] per subject
   */
  evaluate(deltas: readonly Float64Array[]): Promise<ObjectiveEvaluation> {
    return this.#run(deltas);
  }

  async #run(deltas: readonly Float64Array[]): Promise<ObjectiveEvaluation & { readonly keptNow: Float32Array }> {
    const { dModel, vocab } = this.#programs.model.config;
    const delta = new Float32Array(this.#subjects * dModel);
    deltas.forEach((values, e) => {
      delta.set(values, e * dModel);
    });
    const { model, objective, saysPast } = this.#programs;
    const outputs = await objective.run({
      ...objectiveFeeds(model, this.#subjects, this.#sequences),
      ...(saysPast && { pastRows: tensor('int64', [0], new BigInt64Array()) }),
      delta: tensor('float32', [this.#subjects, dModel], delta),
    });
    const gradient = outputs.gradient.data as Float32Array;
    const targets = this.#sequences.reduce((sum, one) => sum + one.targets.length, 0);
    /** Share of a subject's positions that hit. */
    const hitShare = (hits: Tensor, first: number, positionsOf: (sequence: PreparedSequence) => readonly unknown[]) => {
      let position = first;
      const sums = Array.from({ length: this.#subjects }, () => ({ hits: 0, positions: 0 }));
      for (const sequence of this.#sequences) {
        const sum = sums[sequence.subject];
        for (const _ of positionsOf(sequence)) sum.hits += Number(hits.data[position++]);
        sum.positions += positionsOf(sequence).length;
      }
      return sums.map((sum) => (sum.positions === 0 ? 1 : sum.hits / sum.positions));
    };
    return {
      nll: Array.from(outputs.nll.data as Float32Array),
      keptLoss: Array.from(outputs.keptLoss.data as Float32Array),
      gradients: deltas.map((_, e) => gradient.subarray(e * dModel, (e + 1) * dModel)),
      hits: hitShare(outputs.hits, 0, ({ targets }) => targets).map((share) => share === 1),
      kept: hitShare(outputs.keptHits, targets, ({ kept }) => kept),
      keptNow: (outputs.now.data as Float32Array).subarray(targets * vocab),
    };
  }

  /** The objective of some parts, in this order, each with its own delta. */
  select(subjects: readonly ObjectivePart[]): ValueObjective {
    const chosen = subjects.flatMap((part, subject) => part.map((one) => ({ ...one, subject })));
    const sequences = chosen.map(({ sequence, factor, subject }) => ({
      ...weighted(this.#sequences[sequence], factor, factor),
      subject,
    }));
    return new ValueObjective(this.#programs, subjects.length, sequences);
  }
}

/** For each token of the vocabulary, 1 where its text goes on with a word: uint8 [vocab]. */
export type WordParts = Uint8Array;

/** What the model says after a whole word: log-probabilities of the tokens that end it, as if there were no others. */
function withoutWordParts(logProbabilities: Float32Array, wordParts: WordParts): Float32Array {
  const kept = logProbabilities.map((value, token) => (wordParts[token] === 1 ? impossible : value));
  const logSum = Math.log(kept.reduce((sum, value) => sum + Math.exp(value), 0));
  return kept.map((value) => Math.max(value - logSum, impossible));
}

/** A log-probability whose probability is 0 in float32, and still a number to count with. */
const impossible = -1000;

/** The sum of a sequence's weights: those of its targets, or of its kept positions where it teaches nothing. */
const weightOf = ({ isTaught, targets, kept }: ObjectiveSequence): number =>
  (isTaught ? targets : kept).reduce((sum, { weight }) => sum + weight, 0);

/** The same sequence, with the weights of its targets and kept positions multiplied. */
function weighted<T extends ObjectiveSequence>(sequence: T, targetFactor: number, keptFactor: number): T {
  return {
    ...sequence,
    targets: sequence.targets.map((t) => ({ ...t, weight: t.weight * targetFactor })),
    kept: sequence.kept.map((k) => ({ ...k, weight: k.weight * keptFactor })),
  };
}

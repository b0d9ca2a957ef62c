/** @file The steps of value searches, each subject's on its own. */
import { randomSigns } from '../linalg/index.js';
import { Adam, euclideanNorm, projectInto } from './adam.js';
import type { Hyperparameters } from './hyperparameters.js';
import { batchByRows } from './micro-batch.js';
import { type ObjectivePart, partsOf, type SearchedSequence } from './objective-sequence.js';
import { dot, type KnownLoss, polyakStep } from './polyak.js';
import { entryOf, type PartEvaluation, ValueObjective } from './value-objective.js';

/** What the search found for one subject. */
export interface ValueTarget {
  readonly id: string;
  /** delta, what is added to the block-L output at the subject: float64 [dModel]. */
  readonly delta: Float64Array;
  /** Loss at each turn, over the sequences that it looked at. */
  readonly losses: readonly number[];
  /** Mean negative log-probability of the targets at the end; NaN if a loss was no number. */
  readonly nll: number;
  /** Whether at the end every target token is the most probable one in every text. */
  readonly hit: boolean;
}

/** A part of an objective, and the value at which it is to be evaluated. */
export interface Look {
  readonly part: ObjectivePart;
  /** float64 [dModel]. */
  readonly at: Float64Array;
}

/** The search of one subject's value. */
export interface SubjectSearch {
  readonly isDone: boolean;
  /** What to look at now, each part on its own. */
  next(): readonly Look[];
  /** Takes what those parts say, in their order, and steps unless all is well. */
  look(parts: readonly PartEvaluation[]): void;
  result(): ValueTarget;
}

/** What a search starts with. */
export interface SearchStart {
  readonly id: string;
  /** Length of delta. */
  readonly dModel: number;
  /** |z|: delta is bounded by a multiple of it. */
  readonly norm: number;
  /** The subject's sequences, the taught ones first. */
  readonly sequences: readonly SearchedSequence[];
  /** What each of them says at `delta = 0`, its targets as if they had the weight 1 together. */
  readonly atZero: readonly PartEvaluation[];
  /** How many taught sequences a turn looks at; 0 for all, and all that keep. */
  readonly taughtPerTurn: number;
  readonly settings: Hyperparameters;
}

/** A search in work, and the objective of its subject. */
export interface RunningSearch {
  readonly search: SubjectSearch;
  readonly objective: ValueObjective;
}

/**
 * Lets every search that is not done take a step.
 *
 * @param rowsPerRun most rows that are evaluated at once
 * @returns those whose losses are no numbers any more, which took none
 */
export async function stepTogether<T extends RunningSearch>(
  running: readonly T[],
  rowsPerRun: number,
): Promise<ReadonlySet<T>> {
  const turns = running
    .filter(({ search }) => !search.isDone)
    .map((one): Turn<T> => {
      const looks = one.search.next();
      return { one, objective: one.objective.select(looks.map(({ part }) => part)), deltas: looks.map(({ at }) => at) };
    });
  const lost = new Set<T>();
  for (const batch of batchByRows(turns, ({ objective }) => objective.rows, rowsPerRun)) {
    const seen = await evaluateTogether(batch);
    batch.forEach(({ one }, t) => {
      if (seen[t].every(isOfNumbers)) one.search.look(seen[t]);
      else lost.add(one);
    });
  }
  return lost;
}

/** What a search wants to see. */
interface Turn<T> {
  readonly one: T;
  /** Of the parts that it looks at. */
  readonly objective: ValueObjective;
  /** Where it looks at each of them. */
  readonly deltas: readonly Float64Array[];
}

/**
 * What all turns see. The products over a whole batch spread a number that is none from one subject to all. So a batch with such
 * numbers is halved, until the subjects that they come from are alone.
 */
async function evaluateTogether(turns: readonly Turn<unknown>[]): Promise<(readonly PartEvaluation[])[]> {
  const joined = ValueObjective.join(turns.map(({ objective }) => objective));
  const evaluation = await joined.evaluate(turns.flatMap(({ deltas }) => deltas));
  let entry = 0;
  const seen = turns.map(({ deltas }) => deltas.map(() => entryOf(evaluation, entry++)));
  if (turns.length === 1 || seen.flat().every(isOfNumbers)) return seen;
  const half = turns.length >> 1;
  return [...(await evaluateTogether(turns.slice(0, half))), ...(await evaluateTogether(turns.slice(half)))];
}

export const isOfNumbers = ({ nll, keptLoss }: PartEvaluation): boolean =>
  Number.isFinite(nll) && Number.isFinite(keptLoss);

export function subjectSearch(start: SearchStart): SubjectSearch {
  return start.settings.descent === 'polyak' ? new PolyakSearch(start) : new AdamSearch(start);
}

/** Adam on the loss of the parts in turn, or on its logarithm. */
class AdamSearch implements SubjectSearch {
  readonly #delta: Float64Array;
  readonly #adam: Adam;
  readonly #start: SearchStart;
  readonly #parts: readonly ObjectivePart[];
  readonly #losses: number[] = [];
  #turn = 0;
  #steps = 0;
  /** Mean negative log-probabilities of the parts that were evaluated since the last step. */
  #seen: number[] = [];
  #hit = true;

  constructor(start: SearchStart) {
    const { dModel, norm, sequences, taughtPerTurn, settings } = start;
    this.#start = start;
    this.#delta = new Float64Array(dModel);
    this.#adam = new Adam(this.#delta, settings.learningRate, settings.clampNormFactor * norm);
    this.#parts = partsOf(sequences, taughtPerTurn);
  }

  /** Whether every part has been evaluated since the last step. */
  get isDone(): boolean {
    return this.#seen.length >= this.#parts.length;
  }

  next(): readonly Look[] {
    return [{ part: this.#parts[this.#turn++ % this.#parts.length], at: this.#delta }];
  }

  look([{ nll, keptLoss, gradient, hit, kept }]: readonly PartEvaluation[]): void {
    const { norm, settings } = this.#start;
    const { weightDecay, stopLoss, stopKept, steps, descent } = settings;
    const length = euclideanNorm(this.#delta);
    const loss = nll + keptLoss + (weightDecay * length) / norm ** 2;
    this.#losses.push(loss);
    this.#seen.push(nll);
    this.#hit &&= hit;
    const isWell = hit && kept >= stopKept && nll < stopLoss;
    if (isWell || this.#steps >= steps) return;
    // The gradient of the weight decay: `weightDecay * delta / (|delta| |z|²)`, 0 at `delta = 0`.
    const decay = length === 0 ? 0 : weightDecay / (length * norm ** 2);
    const scale = descent === 'log-loss' ? 1 / Math.max(loss, smallestLoss) : 1;
    this.#adam.step(Float64Array.from(gradient, (g, i) => scale * (g + decay * this.#delta[i])));
    this.#steps++;
    this.#seen = [];
    this.#hit = true;
  }

  result(): ValueTarget {
    const nll = this.#seen.reduce((sum, part) => sum + part, 0) / this.#parts.length;
    return { id: this.#start.id, delta: this.#delta.slice(), losses: this.#losses, nll, hit: this.#hit };
  }
}

/** Below this a loss is only float32 rounding, and its logarithm is not descended further. */
const smallestLoss = 1e-6;

/** A sequence as the last look found it. */
interface SeenSequence extends KnownLoss {
  readonly nll: number;
  readonly hit: boolean;
  /** Whether nothing more is asked of it. */
  isWell: boolean;
}

/** What a step may leave of a target's loss, against how long it becomes. */
const taughtSlack = 0.1;

/** Targets are sought a little below the loss at which a search ends, so that it comes to an end. */
const aim = 0.5;

/**
 * A target's loss, and its gradient, as a step should see them: above 1 itself, `1 + log(loss)` below, and from there as far down
 * as `least`. A small loss falls like an exponential, so its logarithm is what goes down straight.
 */
function untilLeast(loss: number, gradient: Float32Array, least: number): Pick<KnownLoss, 'loss' | 'gradient'> {
  const bounded = Math.max(loss, smallestLoss);
  const end = 1 + Math.log(Math.max(least, smallestLoss));
  if (bounded >= 1) return { loss: bounded - end, gradient };
  return { loss: 1 + Math.log(bounded) - end, gradient: gradient.map((g) => g / bounded) };
}

/** How much more of what is kept a step may leave where targets go on for themselves. */
const keptSlackAtEnd = 4;

/**
 * Polyak's step for all of a subject's sequences, of which each turn looks at some that are not well yet. Targets are looked at
 * beside the value, with noise, so that other texts in which the subject's state is a little different say them too; what is
 * kept is looked at where the value is. At the end every target is looked at without noise, and goes on for itself if it is not
 * said.
 */
class PolyakSearch implements SubjectSearch {
  readonly #delta: Float64Array;
  readonly #start: SearchStart;
  /** The least recently seen first. */
  readonly #seen = new Map<SearchedSequence, SeenSequence>();
  readonly #losses: number[] = [];
  readonly #nextSign: () => 1 | -1;
  #looked: readonly SearchedSequence[] = [];
  #steps = 0;
  /** Whether what is kept has had its steps, or all is well beside the value. */
  #isAtEnd = false;

  constructor(start: SearchStart) {
    this.#start = start;
    this.#delta = new Float64Array(start.dModel);
    this.#nextSign = randomSigns(start.settings.seed);
    const { sequences, atZero } = start;
    this.#looked = sequences.filter(({ isTaught }) => isTaught);
    this.look(atZero.filter((_, s) => sequences[s].isTaught));
  }

  get isDone(): boolean {
    return this.#open(true).length + this.#open(false).length === 0;
  }

  /** Every target was looked at with nothing changed. After it, where one kind is well, the other has its places too. */
  next(): readonly Look[] {
    const { taughtPerTurn } = this.#start;
    const [taught, kept] = [this.#open(true), this.#open(false)];
    const places = taughtPerTurn === 0 ? taught.length + kept.length : taughtPerTurn + 1;
    const targets = taught.slice(0, places - (taughtPerTurn > 0 && kept.length > 0 ? 1 : 0));
    this.#looked = [...targets, ...kept.slice(0, places - targets.length)];
    return this.#looked.map(({ sequence, weight, isTaught }) => ({
      part: [{ sequence, factor: 1 / weight }],
      at: isTaught && !this.#isAtEnd ? this.#besideDelta() : this.#delta,
    }));
  }

  look(parts: readonly PartEvaluation[]): void {
    this.#take(parts);
    const looked = this.#looked.map((sequence) => this.#seen.get(sequence)!);
    if (!looked.every(({ isWell }) => isWell)) this.#step();
    const { steps, targetNoise } = this.#start.settings;
    if (this.#isAtEnd || (this.#steps < steps && !this.isDone)) return;
    this.#isAtEnd = true;
    if (targetNoise === 0) return;
    for (const [{ isTaught }, seen] of this.#seen) seen.isWell &&= !isTaught;
  }

  result(): ValueTarget {
    const taught = this.#start.sequences.filter(({ isTaught }) => isTaught);
    const ends = taught.map((sequence) => ({ weight: sequence.weight, seen: this.#seen.get(sequence) }));
    return {
      id: this.#start.id,
      delta: this.#delta.slice(),
      losses: this.#losses,
      nll: ends.reduce((sum, { weight, seen }) => sum + weight * (seen?.nll ?? Number.NaN), 0),
      hit: ends.every(({ seen }) => seen?.hit === true),
    };
  }

  /** delta and noise of `targetNoise |delta|`, in a direction that is another one each time. */
  #besideDelta(): Float64Array {
    const { dModel, settings } = this.#start;
    const each = (settings.targetNoise * euclideanNorm(this.#delta)) / Math.sqrt(dModel);
    return this.#delta.map((value) => value + this.#nextSign() * each);
  }

  /** Notes what was seen. A loss beside delta stands for that at delta: so its mean over the noise goes down. */
  #take(parts: readonly PartEvaluation[]): void {
    const { stopLoss, stopKept, steps, targetSteps, keepFactor } = this.#start.settings;
    const [isAtEnd, isLast] = [this.#isAtEnd, this.#steps >= steps + targetSteps];
    this.#looked.forEach((sequence, p) => {
      const { nll, keptLoss, gradient, hit, kept } = parts[p];
      const { isTaught } = sequence;
      const isSaid = isAtEnd ? hit && kept === 1 : hit && nll < stopLoss;
      this.#seen.delete(sequence);
      this.#seen.set(sequence, {
        nll,
        hit,
        isWell: isLast || (isTaught ? isSaid : kept >= stopKept),
        ...(isTaught ? untilLeast(nll + keptLoss, gradient, aim * stopLoss) : { loss: keptLoss, gradient }),
        at: this.#delta.slice(),
        slack: isTaught ? taughtSlack : 1 / keepFactor,
      });
    });
    this.#losses.push(parts.reduce((sum, { nll, keptLoss }) => sum + nll + keptLoss, 0) / parts.length);
  }

  #step(): void {
    const { norm, settings } = this.#start;
    const { stopLoss, longestStep, clampNormFactor } = settings;
    const losses = [...this.#seen].map(([{ isTaught }, { slack, ...seen }]) => ({
      ...seen,
      slack: this.#isAtEnd && !isTaught ? keptSlackAtEnd * slack : slack,
    }));
    const step = polyakStep(this.#delta, losses);
    const scale = Math.min(1, (longestStep * norm) / euclideanNorm(step));
    for (let i = 0; i < step.length; i++) this.#delta[i] += scale * step[i];
    projectInto(this.#delta, clampNormFactor * norm);
    this.#steps++;
    // What a step changes by less than this is as well as it was.
    for (const seen of this.#seen.values()) seen.isWell &&= scale * Math.abs(dot(seen.gradient, step)) < 0.1 * stopLoss;
  }

  /** Sequences of a kind that are not well, those never seen first, then the least recently seen. */
  #open(isTaught: boolean): SearchedSequence[] {
    if (!isTaught && this.#isAtEnd) return [];
    const unseen = this.#start.sequences.filter((sequence) => !this.#seen.has(sequence));
    const seen = [...this.#seen].flatMap(([sequence, { isWell }]) => (isWell ? [] : [sequence]));
    return [...unseen, ...seen].filter((sequence) => sequence.isTaught === isTaught);
  }
}

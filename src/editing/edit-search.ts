/** @file The steps of value searches, each subject's on its own. */
import { Adam, euclideanNorm } from './adam.js';
import type { Hyperparameters } from './hyperparameters.js';
import type { ObjectivePart } from './objective-sequence.js';
import { PolyakDescent } from './polyak.js';
import type { ObjectiveEvaluation, ValueObjective } from './value-objective.js';

/** What the search found for one subject. */
export interface ValueTarget {
  readonly id: string;
  /** delta, what is added to the block-L output at the subject: float64 [dModel]. */
  readonly delta: Float64Array;
  /** Loss at each evaluation, over the sequences that it looked at. */
  readonly losses: readonly number[];
  /** Mean negative log-probability of the targets at the end; NaN if a loss was no number. */
  readonly nll: number;
  /** Whether at the end every target token is the most probable one in every text. */
  readonly hit: boolean;
}

/** A search, and the parts of its objective that it looks at in turn. */
export interface PartedSearch {
  readonly search: SubjectSearch;
  readonly parts: readonly ObjectivePart[];
}

/** Most objectives of the same searches that are kept ready. */
const keptObjectives = 32;

/**
 * Lets every search step, on the parts of the objective in turn, until all are done, or until a loss is no number.
 *
 * @param whole the objective of all searches
 * @param atZero its evaluation at the start
 * @returns whether all losses were numbers
 */
export async function descend(
  whole: ValueObjective,
  searches: readonly PartedSearch[],
  atZero: ObjectiveEvaluation,
  onStep: (activeSubjects: number) => void,
): Promise<boolean> {
  let active = searches;
  searches.forEach(({ search, parts }, e) => {
    search.look(atZero, e, parts.length);
  });
  if (!areNumbers(atZero)) return false;
  const ready = new Map<string, ValueObjective>();
  for (let turn = 0; ; turn++) {
    const goOn = active.filter(({ search }) => !search.isDone);
    if (goOn.length < active.length) ready.clear();
    active = goOn;
    onStep(active.length);
    if (active.length === 0) return true;
    const chosen = active.map(({ parts }) => turn % parts.length);
    const name = chosen.join(' ');
    const objective = ready.get(name) ?? whole.select(active.map(({ parts }, i) => parts[chosen[i]]));
    if (ready.size < keptObjectives) ready.set(name, objective);
    const evaluation = await objective.evaluate(active.map(({ search }) => search.delta));
    active.forEach(({ search }, i) => {
      search.look(evaluation, i, 1);
    });
    if (!areNumbers(evaluation)) return false;
  }
}

const areNumbers = ({ nll, keptLoss }: ObjectiveEvaluation): boolean =>
  [...nll, ...keptLoss].every((loss) => Number.isFinite(loss));

/** Below this a loss is only float32 rounding, and its logarithm is not descended further. */
const smallestLoss = 1e-6;

/** The course of one subject's search. */
export class SubjectSearch {
  /** float64 [dModel]. */
  readonly delta: Float64Array;
  readonly #descend: (gradient: Float64Array, loss: number) => void;
  readonly #norm: number;
  readonly #losses: number[] = [];
  #steps = 0;
  /** Mean negative log-probabilities of the parts that were evaluated since the last step. */
  #seen: number[] = [];
  #hit = true;
  readonly #id: string;
  readonly #parts: number;
  readonly #settings: Hyperparameters;

  /**
   * @param dModel length of delta
   * @param norm   |z|: delta is bounded by a multiple of it
   * @param parts  how many parts the objective is looked at in
   */
  constructor(id: string, dModel: number, norm: number, parts: number, settings: Hyperparameters) {
    this.#id = id;
    this.#parts = parts;
    this.#settings = settings;
    this.#norm = norm;
    this.delta = new Float64Array(dModel);
    this.#descend = descentOf(this.delta, norm, settings);
  }

  /** Whether every part has been evaluated since the last step. */
  get isDone(): boolean {
    return this.#seen.length >= this.#parts;
  }

  /**
   * Takes the evaluation of this many parts. Steps, unless it fulfils the stop criterion (see `stopLoss`) or no steps are
   * left.
   */
  look({ nll, keptLoss, hits, kept, gradients }: ObjectiveEvaluation, entry: number, parts: number): void {
    const { weightDecay, stopLoss, stopKept, steps } = this.#settings;
    const length = euclideanNorm(this.delta);
    const loss = nll[entry] + keptLoss[entry] + (weightDecay * length) / this.#norm ** 2;
    this.#losses.push(loss);
    this.#seen.push(...new Array<number>(parts).fill(nll[entry]));
    this.#hit &&= hits[entry];
    const isWellHere = hits[entry] && kept[entry] >= stopKept && nll[entry] < stopLoss;
    if (isWellHere || this.#steps >= steps) return;
    // The gradient of the weight decay: `weightDecay * delta / (|delta| |z|²)`, 0 at `delta = 0`.
    const decay = length === 0 ? 0 : weightDecay / (length * this.#norm ** 2);
    const gradient = Float64Array.from(gradients[entry], (g, i) => g + decay * this.delta[i]);
    this.#descend(gradient, loss);
    this.#steps++;
    this.#seen = [];
    this.#hit = true;
  }

  result(): ValueTarget {
    const isOfNumbers = this.#losses.every((loss) => Number.isFinite(loss));
    const nll = isOfNumbers ? this.#seen.reduce((sum, part) => sum + part, 0) / this.#parts : Number.NaN;
    return { id: this.#id, delta: this.delta.slice(), losses: this.#losses, nll, hit: this.#hit };
  }
}

/** One step of the descent that the settings name. */
function descentOf(
  delta: Float64Array,
  norm: number,
  { descent, learningRate, longestStep, clampNormFactor }: Hyperparameters,
): (gradient: Float64Array, loss: number) => void {
  const radius = clampNormFactor * norm;
  if (descent === 'polyak') {
    const polyak = new PolyakDescent(delta, longestStep * norm, radius);
    return (gradient, loss) => polyak.step(gradient, loss);
  }
  const adam = new Adam(delta, learningRate, radius);
  if (descent === 'loss') return (gradient) => adam.step(gradient);
  // The gradient of the logarithm.
  return (gradient, loss) => adam.step(gradient.map((g) => g / Math.max(loss, smallestLoss)));
}

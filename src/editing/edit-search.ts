/** @file The steps of value searches, each edit's on its own. */
import { Adam, euclideanNorm } from './adam.js';
import type { Hyperparameters } from './hyperparameters.js';
import type { ObjectiveEvaluation, ValueObjective } from './value-objective.js';

/** What the search found for one edit. */
export interface ValueTarget {
  readonly id: string;
  /** `z* = z + delta`: float64 [dModel]. */
  readonly target: Float64Array;
  /** z, the block-L output at the subject of the bare prompt: float64 [dModel]. */
  readonly initial: Float64Array;
  /** Loss at each evaluation, over the templates that it looked at. */
  readonly losses: readonly number[];
  /** Mean negative log-probability of the target at the end; NaN if a loss was no number. */
  readonly nll: number;
  /** Whether at the end every target token is the most probable one in every template. */
  readonly hit: boolean;
}

/**
 * Lets every search step, on the parts of the objective in turn, until all are done, or until a loss is no number.
 *
 * @param atZero the evaluation of the whole objective at the start
 * @returns whether all losses were numbers
 */
export async function descend(
  parts: readonly ValueObjective[],
  searches: readonly EditSearch[],
  atZero: ObjectiveEvaluation,
  onStep: (activeEdits: number) => void,
): Promise<boolean> {
  let active = searches.map((_, e) => e);
  searches.forEach((search, e) => {
    search.look(atZero, e, parts.length);
  });
  if (!areNumbers(atZero)) return false;
  const partsOfActive = new Map<number, ValueObjective>();
  for (let turn = 0; ; turn++) {
    const goOn = active.filter((e) => !searches[e].isDone);
    if (goOn.length < active.length) partsOfActive.clear();
    active = goOn;
    onStep(active.length);
    if (active.length === 0) return true;
    const part = turn % parts.length;
    const isWhole = active.length === searches.length;
    const objective = isWhole ? parts[part] : (partsOfActive.get(part) ?? parts[part].select(active));
    partsOfActive.set(part, objective);
    const evaluation = await objective.evaluate(active.map((e) => searches[e].delta));
    active.forEach((e, i) => {
      searches[e].look(evaluation, i, 1);
    });
    if (!areNumbers(evaluation)) return false;
  }
}

const areNumbers = ({ nll, keptLoss }: ObjectiveEvaluation): boolean =>
  [...nll, ...keptLoss].every((loss) => Number.isFinite(loss));

/** Below this a loss is only float32 rounding, and its logarithm is not descended further. */
const smallestLoss = 1e-6;

/** The course of one edit's search. */
export class EditSearch {
  readonly #adam: Adam;
  readonly #norm: number;
  readonly #losses: number[] = [];
  #steps = 0;
  /** Mean negative log-probabilities of the parts that were evaluated since the last step. */
  #seen: number[] = [];
  #hit = true;
  readonly #id: string;
  readonly #initial: Float64Array;
  readonly #parts: number;
  readonly #settings: Hyperparameters;

  constructor(id: string, initial: Float64Array, parts: number, settings: Hyperparameters) {
    this.#id = id;
    this.#initial = initial;
    this.#parts = parts;
    this.#settings = settings;
    this.#norm = euclideanNorm(initial);
    const delta = new Float64Array(initial.length);
    this.#adam = new Adam(delta, settings.learningRate, settings.clampNormFactor * this.#norm);
  }

  get delta(): Float64Array {
    return this.#adam.parameters;
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
    const { weightDecay, stopLoss, steps } = this.#settings;
    const length = euclideanNorm(this.delta);
    const loss = nll[entry] + keptLoss[entry] + (weightDecay * length) / this.#norm ** 2;
    this.#losses.push(loss);
    this.#seen.push(...new Array<number>(parts).fill(nll[entry]));
    this.#hit &&= hits[entry];
    const isWellHere = hits[entry] && kept[entry] && nll[entry] < stopLoss;
    if (isWellHere || this.#steps >= steps) return;
    // The gradient of the weight decay: `weightDecay * delta / (|delta| |z|²)`, 0 at `delta = 0`.
    const decay = length === 0 ? 0 : weightDecay / (length * this.#norm ** 2);
    const scale = this.#settings.descent === 'loss' ? 1 : 1 / Math.max(loss, smallestLoss);
    this.#adam.step(Float64Array.from(gradients[entry], (g, i) => scale * (g + decay * this.delta[i])));
    this.#steps++;
    this.#seen = [];
    this.#hit = true;
  }

  result(): ValueTarget {
    const target = this.#initial.map((z, i) => z + this.delta[i]);
    const isOfNumbers = this.#losses.every((loss) => Number.isFinite(loss));
    const nll = isOfNumbers ? this.#seen.reduce((sum, part) => sum + part, 0) / this.#parts : Number.NaN;
    return { id: this.#id, target, initial: this.#initial, losses: this.#losses, nll, hit: this.#hit };
  }
}

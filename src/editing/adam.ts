/**
 * Adam for independent columns that start and stop at different times, each projected into a ball after its step
 * (Kingma and Ba 2015; `beta1 = 0.9`, `beta2 = 0.999`, `epsilon = 1e-8`).
 */
export class Adam {
  readonly #mean: Float64Array;
  readonly #square: Float64Array;
  #stepsTaken = 0;
  readonly #learningRate: number;
  /** Largest norm of the parameters. */
  readonly #radius: number;

  constructor(
    /** The parameters, changed in place: float64. */
    readonly parameters: Float64Array,
    learningRate: number,
    radius: number,
  ) {
    this.#learningRate = learningRate;
    this.#radius = radius;
    this.#mean = new Float64Array(parameters.length);
    this.#square = new Float64Array(parameters.length);
  }

  /** One step against the gradient, then the projection. */
  step(gradient: ArrayLike<number>): void {
    this.#stepsTaken++;
    const meanCorrection = 1 - 0.9 ** this.#stepsTaken;
    const squareCorrection = 1 - 0.999 ** this.#stepsTaken;
    for (let i = 0; i < this.parameters.length; i++) {
      this.#mean[i] = 0.9 * this.#mean[i] + 0.1 * gradient[i];
      this.#square[i] = 0.999 * this.#square[i] + 0.001 * gradient[i] ** 2;
      const scale = Math.sqrt(this.#square[i] / squareCorrection) + 1e-8;
      this.parameters[i] -= (this.#learningRate * (this.#mean[i] / meanCorrection)) / scale;
    }
    projectInto(this.parameters, this.#radius);
  }
}

/** Scales a vector that is longer than a radius to that length, in place. */
export function projectInto(x: Float64Array, radius: number): void {
  const norm = euclideanNorm(x);
  if (norm > radius) for (let i = 0; i < x.length; i++) x[i] *= radius / norm;
}

/** `|x|₂` */
export function euclideanNorm(x: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += x[i] * x[i];
  return Math.sqrt(sum);
}

import { euclideanNorm, projectInto } from './adam.js';

/**
 * Gradient descent with Polyak's step (1969) for a loss whose least value is about 0: `x -= min(loss / |g|, longest) g / |g|`,
 * then projected into a ball. Every step goes along the gradient, so nothing moves that no term asks for.
 */
export class PolyakDescent {
  readonly #longest: number;
  readonly #radius: number;

  constructor(
    /** The parameters, changed in place: float64. */
    readonly parameters: Float64Array,
    /** Longest step. */
    longest: number,
    /** Largest norm of the parameters. */
    radius: number,
  ) {
    this.#longest = longest;
    this.#radius = radius;
  }

  /** One step. A gradient of zero moves nothing. */
  step(gradient: ArrayLike<number>, loss: number): void {
    const norm = euclideanNorm(gradient);
    if (norm === 0) return;
    const scale = Math.min(loss / norm, this.#longest) / norm;
    for (let i = 0; i < this.parameters.length; i++) this.parameters[i] -= scale * gradient[i];
    projectInto(this.parameters, this.#radius);
  }
}

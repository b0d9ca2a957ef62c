/** What is known of a loss whose least value is about 0, from where it was evaluated last. */
export interface KnownLoss {
  readonly loss: number;
  /** Its gradient there: [n]. */
  readonly gradient: ArrayLike<number>;
  /** Where that was: float64 [n]. */
  readonly at: Float64Array;
  /** How much of the loss a step may leave, against how long the step becomes; 0 leaves nothing. */
  readonly slack: number;
}

/** Sweeps over the dual's coordinates; a value has a few dozen losses, and their Gram matrix is small. */
const sweeps = 100;

/**
 * Polyak's step (1969) for many losses at once: the shortest `s` that takes all of them to 0 by their gradients, as far as their
 * slack asks for it,
 *
 * `min |s|² / 2 + Σ_i ξ_i² / (2 slack_i |g_i|²)` with `loss_i + g_i · (x + s - at_i) <= ξ_i`.
 *
 * For one loss that is `s = -(loss / |g|) g / |g| / (1 + slack)`. A loss that was evaluated elsewhere still counts with what its
 * gradient says of it here, so a step that sees few of them does not undo the others. The dual,
 * `min aᵀ (G Gᵀ + D) a / 2 - rᵀ a` over `a >= 0` with `s = -Gᵀ a`, is solved by coordinate descent.
 *
 * @param x float64 [n]
 * @returns s, float64 [n]; zero where all gradients are
 */
export function polyakStep(x: Float64Array, losses: readonly KnownLoss[]): Float64Array {
  const sloped = losses.filter(({ gradient }) => dot(gradient, gradient) > 0);
  const residuals = sloped.map(({ loss, gradient, at }) => loss + dot(gradient, x) - dot(gradient, at));
  const matrix = sloped.map((one, i) =>
    sloped.map((other, j) => dot(one.gradient, other.gradient) * (i === j ? 1 + one.slack : 1)),
  );
  const duals = new Float64Array(sloped.length);
  for (let sweep = 0; sweep < sweeps; sweep++) {
    for (let i = 0; i < duals.length; i++) {
      duals[i] = Math.max(0, duals[i] + (residuals[i] - dot(matrix[i], duals)) / matrix[i][i]);
    }
  }
  const step = new Float64Array(x.length);
  sloped.forEach(({ gradient }, i) => {
    for (let k = 0; k < step.length; k++) step[k] -= duals[i] * gradient[k];
  });
  return step;
}

/** `a · b` */
export function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

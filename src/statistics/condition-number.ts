/** @file The condition number of the key statistics (the covariance of a layer's keys), from their stored factor. */
import { euclideanNorm } from '../editing/index.js';
import type { Matrix } from '../linalg/index.js';

/** Steps of each power iteration: enough for the order of magnitude. */
const powerSteps = 30;

/**
 * An estimate, from below, of the condition number `|C0| |C0⁻¹|` of a key moment (spectral norms), by two power
 * iterations of `dInner²` operations a step (Golub and Van Loan, Matrix Computations, section 7.3.1).
 *
 * @param inverseFactor `F = L⁻¹` with `C0 = L Lᵀ`: float64 [dInner, dInner], lower triangular
 */
export function conditionNumber(inverseFactor: Matrix): number {
  const { rows } = inverseFactor;
  const ofMoment = largestEigenvalue(rows, (x) => solve(inverseFactor, solveTransposed(inverseFactor, x)));
  const ofInverse = largestEigenvalue(rows, (x) => timesTransposed(inverseFactor, times(inverseFactor, x)));
  return ofMoment * ofInverse;
}

function largestEigenvalue(size: number, apply: (x: Float64Array) => Float64Array): number {
  // A start in no special direction, so that it is orthogonal to no eigenvector.
  let x: Float64Array = Float64Array.from({ length: size }, (_, i) => Math.cos(i + 1));
  let norm = euclideanNorm(x);
  for (let step = 0; step < powerSteps; step++) {
    const scale = 1 / norm;
    x = apply(x.map((value) => value * scale));
    norm = euclideanNorm(x);
  }
  return norm;
}

/** `F x`. */
function times({ rows, data }: Matrix, x: Float64Array): Float64Array {
  return x.map((_, i) => {
    let sum = 0;
    for (let j = 0; j <= i; j++) sum += data[i * rows + j] * x[j];
    return sum;
  });
}

/** `Fᵀ x`. */
function timesTransposed({ rows, data }: Matrix, x: Float64Array): Float64Array {
  const result = new Float64Array(rows);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j <= i; j++) result[j] += data[i * rows + j] * x[i];
  }
  return result;
}

/** `F⁻¹ x = L x`, by forward substitution. */
function solve({ rows, data }: Matrix, x: Float64Array): Float64Array {
  const result = new Float64Array(rows);
  for (let i = 0; i < rows; i++) {
    let rest = x[i];
    for (let j = 0; j < i; j++) rest -= data[i * rows + j] * result[j];
    result[i] = rest / data[i * rows + i];
  }
  return result;
}

/** `F⁻ᵀ x = Lᵀ x`, by back substitution. */
function solveTransposed({ rows, data }: Matrix, x: Float64Array): Float64Array {
  const result = x.slice();
  for (let i = rows - 1; i >= 0; i--) {
    result[i] /= data[i * rows + i];
    for (let j = 0; j < i; j++) result[j] -= data[i * rows + j] * result[i];
  }
  return result;
}

/** @file Seeded random matrices for tests of linear algebra. */
import { multiply } from '../../src/linalg/gemm.js';
import { type Matrix, matrix } from '../../src/linalg/index.js';

/** Uniform numbers in [0, 1) from a 32-bit seed (mulberry32). */
export function uniform(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Independent standard normal entries. */
export function gaussian(rows: number, columns: number, seed: number): Matrix {
  const next = uniform(seed);
  const normal = () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
  return matrix(rows, columns, Float64Array.from({ length: rows * columns }, normal));
}

/** A symmetric matrix with the eigenvalues `condition^(-i / (size - 1))`, from 1 to `1 / condition`, in a random basis. */
export function illConditioned(size: number, condition: number, seed: number): Matrix {
  const root = spectrumRoot(size, condition, seed);
  return multiply(root, root, { transB: true });
}

/** A square root `[size, size]` of `illConditioned`: times a standard normal vector it is a key of that moment. */
export function spectrumRoot(size: number, condition: number, seed: number): Matrix {
  const root = orthonormal(size, seed);
  root.data.forEach((value, at) => {
    root.data[at] = value * condition ** (-(at % size) / (size - 1) / 2);
  });
  return root;
}

/** A random orthogonal matrix: Gram-Schmidt, twice for accuracy, on the rows of a Gaussian matrix. */
export function orthonormal(size: number, seed: number): Matrix {
  const basis = gaussian(size, size, seed);
  const row = (i: number) => basis.data.subarray(i * size, (i + 1) * size);
  for (let i = 0; i < size; i++) {
    for (let j = 0; j < 2 * i; j++) addScaled(row(i), row(j % i), -dot(row(i), row(j % i)));
    const norm = Math.sqrt(dot(row(i), row(i)));
    row(i).forEach((value, j) => {
      basis.data[i * size + j] = value / norm;
    });
  }
  return basis;
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

function addScaled(target: Float64Array, source: Float64Array, factor: number): void {
  for (let i = 0; i < target.length; i++) target[i] += factor * source[i];
}

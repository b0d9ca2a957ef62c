/** @file A small random projection that estimates the whitened norm of any key. */
import type { GemmEngine } from './gemm.js';
import { type Matrix, matrix } from './matrix.js';
import { randomSigns } from './random.js';

/**
 * `Q = Omega F / sqrt(rank)`, with `Omega` of independent signs: `E |Q k|² = |F k|² = kᵀ P0 k`.
 *
 * The relative standard deviation of `|Q k|²` is at most `sqrt(2 / rank)`, 0.18 at rank 64, and so 0.09 for the norm
 * (Achlioptas, "Database-friendly random projections", 2003).
 * @param factor `F = L⁻¹`: `[dInner, dInner]`, from `inverseFactor`
 * @param rank number of rows of the sketch
 * @param seed 32-bit seed of the signs
 * @returns `Q`: `[rank, dInner]`
 */
export function keySketch(factor: Matrix, engine: GemmEngine, rank = 64, seed = 0): Promise<Matrix> {
  const omega = matrix(rank, factor.rows);
  const nextSign = randomSigns(seed);
  const scale = 1 / Math.sqrt(rank);
  for (let row = 0; row < factor.rows; row++) {
    for (let i = 0; i < rank; i++) omega.data[i * factor.rows + row] = nextSign() * scale;
  }
  return engine.gemm(omega, factor);
}

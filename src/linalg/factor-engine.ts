/** @file Making the inverse factor of a key moment (covariance of keys): the interface, and the default solver. */
import { inverseFactor } from './cholesky.js';
import type { GemmEngine } from './gemm.js';
import type { Matrix } from './matrix.js';

/** Which solver made a factor, and why it was that one. */
export interface FactorOrigin {
  readonly solver: 'onnx' | 'tensorflow';
  readonly reason: string;
}

/** A factor with its origin. */
export interface InverseFactor {
  /** `F = L⁻¹` of `a = L Lᵀ`: float64 `[n, n]`, lower triangular. */
  readonly factor: Matrix;
  readonly origin: FactorOrigin;
}

/** Something that makes inverse factors of symmetric positive definite matrices. */
export interface FactorEngine {
  /**
   * `F = L⁻¹`, lower triangular, of `a = L Lᵀ`, in float64 accuracy.
   * @param a `[n, n]`, only its lower triangle is read
   * @param what the matrix in error messages
   * @throws NotPositiveDefiniteError
   */
  inverseFactor(a: Matrix, what: string): Promise<InverseFactor>;
}

/** The default: blocked Cholesky and inverse, their products in float64 by a {@link GemmEngine}. */
export class GemmFactorEngine implements FactorEngine {
  readonly #engine: GemmEngine;
  readonly #reason: string;

  /** @param reason why it is this one */
  constructor(engine: GemmEngine, reason: string) {
    this.#engine = engine;
    this.#reason = reason;
  }

  async inverseFactor(a: Matrix, what: string): Promise<InverseFactor> {
    const origin = { solver: 'onnx', reason: this.#reason } as const;
    return { factor: await inverseFactor(a, this.#engine, what), origin };
  }
}

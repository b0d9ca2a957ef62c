/** @file The float32 operations on a device that the refined factor needs. */

/**
 * Float32 matrices on some device. A matrix lives until it is freed. No operation changes its operands.
 *
 * @typeParam M a matrix on the device
 */
export interface SingleKernels<M> {
  /** Name for messages: `TensorFlow 2.18.1 on the CPU`. */
  readonly description: string;
  /** Whether a GPU computes. */
  readonly isGpu: boolean;
  /**
   * @param data row-major, `rows * columns` numbers; they may be shared, so they must not change while the matrix lives
   */
  load(data: Float32Array, rows: number, columns: number): M;
  /** The elements, row-major. */
  read(a: M): Float32Array;
  /** A copy of rows `[top, bottom)` and columns `[left, right)`. */
  block(a: M, top: number, bottom: number, left: number, right: number): M;
  /**
   * The lower triangular `L` with `a = L Lᵀ`. If there is none, the result has a diagonal element that is not positive.
   */
  cholesky(a: M): M;
  /** `l⁻¹` of a lower triangular matrix. */
  invertLower(l: M): M;
  /** `a b`, or `a bᵀ`. */
  multiply(a: M, b: M, options?: { readonly transB?: boolean }): M;
  free(...matrices: readonly M[]): void;
}

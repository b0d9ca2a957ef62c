/** @file What the refined factor needs of a device that computes in float32. */

/**
 * Float32 matrices on some device. A matrix lives until it is freed; what an operation takes is left as it is.
 *
 * @typeParam M a matrix on the device
 */
export interface SingleKernels<M> {
  /** What computes, for people: `TensorFlow 2.18.1 on the CPU`. */
  readonly description: string;
  /** Whether a GPU computes. */
  readonly isGpu: boolean;
  /** @param data row-major, `rows * columns` values, which must stay as they are while the matrix lives: it may share them */
  load(data: Float32Array, rows: number, columns: number): M;
  /** Row-major values. */
  read(a: M): Float32Array;
  /** A copy of rows `[top, bottom)` and columns `[left, right)`. */
  block(a: M, top: number, bottom: number, left: number, right: number): M;
  /** The lower triangular `L` with `a = L Lᵀ`; without one, some of its diagonal is no positive number. */
  cholesky(a: M): M;
  /** `l⁻¹` of a lower triangular matrix. */
  invertLower(l: M): M;
  /** `a b`, or `a bᵀ`. */
  multiply(a: M, b: M, options?: { readonly transB?: boolean }): M;
  free(...matrices: readonly M[]): void;
}

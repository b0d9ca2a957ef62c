/** @file Counts the work of the dense float64 algebra in `src/linalg`, by the same blocked loops. */
import { blockRanges, blockSize, wideStep } from '../linalg/index.js';
import { type Work, workOf } from './work.js';

/** FLOPs of a Cholesky factor and its inverse, `n³ / 3` each. */
export const inverseFactorFlops = (size: number): number => (2 / 3) * size ** 3;

/** FLOPs of a diagonal block's factor and its inverse, in plain TypeScript. */
export const cornerFlops = (size: number): number => (2 / 3) * size ** 3;

/** Cost of copying into new memory, relative to adding in place. */
const freshMemory = 2;

/** The work of blocked loops: products of the engine, and plain TypeScript between them. */
export class DenseCount {
  #flops = 0;
  #products = 0;
  #operands = 0;
  #moved = 0;
  #hostFlops = 0;

  /** The sum. */
  get work(): Work {
    return workOf({
      float64Flops: this.#flops,
      hostFlops: this.#hostFlops,
      runs: this.#products,
      operators: this.#products,
      transferBytes: 8 * this.#operands,
      hostElements: this.#moved,
    });
  }

  /** `[rows, inner] [inner, columns]` by the engine; nothing if a side is empty. */
  product(rows: number, columns: number, inner: number): void {
    if (rows * columns * inner === 0) return;
    this.#flops += 2 * rows * columns * inner;
    this.#products++;
    this.#operands += rows * inner + inner * columns + rows * columns;
  }

  /** Numbers that are copied into a new array. */
  copy(numbers: number): void {
    this.#moved += freshMemory * numbers;
  }

  /** `cholesky` of `[size, size]`. */
  cholesky(size: number): void {
    for (const [start, end] of blockRanges(size, wideStep(size, blockSize))) {
      const [rows, width] = [size - start, end - start];
      this.product(rows, width, start);
      this.copy(2 * rows * width + (rows + width) * start);
      this.#finishPanel(rows, width);
    }
  }

  #finishPanel(rows: number, width: number): void {
    for (const [left, right] of blockRanges(width)) {
      const [below, narrow] = [rows - right, right - left];
      this.product(rows - left, narrow, left);
      this.product(below, narrow, narrow);
      this.copy((rows - left) * (narrow + left) + 2 * below * narrow);
      this.#hostFlops += cornerFlops(narrow);
    }
  }

  /** `invertLowerInPlace` of `[size, size]`. */
  inverse(size: number, step = wideStep(size, blockSize)): void {
    for (const [start, end] of blockRanges(size, step)) {
      const width = end - start;
      this.copy(2 * width ** 2);
      if (step > blockSize) this.inverse(width, blockSize);
      else this.#hostFlops += width ** 3 / 3;
      for (const [left, right] of blockRanges(start, step)) {
        this.product(width, right - left, start - left);
        this.product(width, right - left, width);
        this.copy((width + right - left) * (start - left) + width * (right - left));
      }
    }
  }

  /** `solveLowerBlocked` or its transpose: `[size, size]` against `[size, columns]`. */
  triangularSolve(size: number, columns: number): void {
    for (const [start, end] of blockRanges(size)) {
      const width = end - start;
      this.product(width, columns, start);
      this.copy(width * (start + columns));
      if (columns > blockSize) {
        this.#hostFlops += width ** 3 / 3;
        this.product(width, columns, width);
      } else this.#hostFlops += width ** 2 * columns;
    }
  }
}

/** The work that `count` counts. */
export function denseWork(count: (dense: DenseCount) => void): Work {
  const dense = new DenseCount();
  count(dense);
  return dense.work;
}

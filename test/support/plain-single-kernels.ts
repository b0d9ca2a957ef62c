/** @file Float32 kernels in plain loops that round every operation: what a device computes, slowly. */
import type { SingleKernels } from '../../src/linalg/single-kernels.js';

interface Plain {
  readonly rows: number;
  readonly columns: number;
  readonly data: Float32Array;
}

/** Counts what is alive, so that tests see what is not freed. */
export class PlainSingleKernels implements SingleKernels<Plain> {
  readonly description = 'plain float32';
  readonly isGpu = false;
  readonly alive = new Set<Plain>();

  load(data: Float32Array, rows: number, columns: number): Plain {
    return this.#made(rows, columns, data.slice());
  }

  read(a: Plain): Float32Array {
    return this.#living(a).data.slice();
  }

  block(a: Plain, top: number, bottom: number, left: number, right: number): Plain {
    const { columns, data } = this.#living(a);
    const part = new Float32Array((bottom - top) * (right - left));
    for (let i = top; i < bottom; i++) {
      part.set(data.subarray(i * columns + left, i * columns + right), (i - top) * (right - left));
    }
    return this.#made(bottom - top, right - left, part);
  }

  cholesky(a: Plain): Plain {
    const { rows: size, data } = this.#living(a);
    const l = new Float32Array(size * size);
    for (let i = 0; i < size; i++) {
      for (let j = 0; j <= i; j++) {
        let rest = data[i * size + j];
        for (let p = 0; p < j; p++) rest = Math.fround(rest - Math.fround(l[i * size + p] * l[j * size + p]));
        l[i * size + j] = j < i ? rest / l[j * size + j] : Math.sqrt(rest);
      }
    }
    return this.#made(size, size, l);
  }

  invertLower(l: Plain): Plain {
    const { rows: size, data } = this.#living(l);
    const inverse = new Float32Array(size * size);
    for (let j = 0; j < size; j++) {
      for (let i = j; i < size; i++) {
        let rest = i === j ? 1 : 0;
        for (let p = j; p < i; p++) rest = Math.fround(rest - Math.fround(data[i * size + p] * inverse[p * size + j]));
        inverse[i * size + j] = rest / data[i * size + i];
      }
    }
    return this.#made(size, size, inverse);
  }

  multiply(a: Plain, b: Plain, { transB = false } = {}): Plain {
    const { rows, columns: inner, data } = this.#living(a);
    const other = this.#living(b);
    const columns = transB ? other.rows : other.columns;
    const product = new Float32Array(rows * columns);
    for (let i = 0; i < rows; i++) {
      for (let j = 0; j < columns; j++) {
        let sum = 0;
        for (let p = 0; p < inner; p++) {
          const value = other.data[transB ? j * inner + p : p * columns + j];
          sum = Math.fround(sum + Math.fround(data[i * inner + p] * value));
        }
        product[i * columns + j] = sum;
      }
    }
    return this.#made(rows, columns, product);
  }

  free(...matrices: readonly Plain[]): void {
    for (const matrix of matrices) {
      this.#living(matrix);
      this.alive.delete(matrix);
    }
  }

  #made(rows: number, columns: number, data: Float32Array): Plain {
    const result = { rows, columns, data };
    this.alive.add(result);
    return result;
  }

  #living(a: Plain): Plain {
    if (!this.alive.has(a)) throw new Error('matrix: one that is not freed, got one that is');
    return a;
  }
}

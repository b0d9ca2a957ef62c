/** @file Products of matrices: the interface on which all blocked algorithms here stand, and a plain implementation. */
import { InvalidInputError } from '../errors.js';
import { type Matrix, matrix, transpose } from './matrix.js';

/** How `gemm` reads and combines its operands. */
export interface ProductOptions {
  /** Take `aᵀ` in place of `a`. */
  readonly transA?: boolean;
  /** Take `bᵀ` in place of `b`. */
  readonly transB?: boolean;
  /** Factor of the product, 1 by default. */
  readonly alpha?: number;
  /** Added to the product; of the shape of the result. */
  readonly add?: Matrix;
}

/** Something that multiplies float64 matrices. */
export interface GemmEngine {
  /** `alpha op(a) op(b) + add`, as a new matrix. */
  gemm(a: Matrix, b: Matrix, options?: ProductOptions): Promise<Matrix>;
}

/**
 * `alpha op(a) op(b) + add`, synchronously, in plain TypeScript.
 *
 * Rows of op(a) and columns of op(b) are taken four by two, so that eight sums stay in registers, and op(b) is packed
 * by pairs of columns, so that the inner loop reads memory in order.
 * @throws InvalidInputError when the shapes do not fit
 */
export function multiply(a: Matrix, b: Matrix, options: ProductOptions = {}): Matrix {
  const left = options.transA ? transpose(a) : a;
  const columns = options.transB ? b.rows : b.columns;
  const inner = options.transB ? b.columns : b.rows;
  if (left.columns !== inner) {
    throw new InvalidInputError('matrix product', `inner size ${left.columns}`, `${inner}`);
  }
  if (options.add && (options.add.rows !== left.rows || options.add.columns !== columns)) {
    const { add } = options;
    throw new InvalidInputError('added matrix', `shape ${left.rows} x ${columns}`, `${add.rows} x ${add.columns}`);
  }
  const result = matrix(left.rows, columns, options.add?.data.slice());
  const packed = packColumnPairs(b, options.transB ?? false, inner, columns);
  accumulate(left, packed, options.alpha ?? 1, result);
  return result;
}

/** op(b) `[inner, columns]` as pairs of columns, each pair interleaved: `[ceil(columns / 2), inner, 2]`. */
function packColumnPairs(b: Matrix, transposed: boolean, inner: number, columns: number): Float64Array {
  const packed = new Float64Array(2 * inner * Math.ceil(columns / 2));
  for (let j = 0; j < columns; j++) {
    const start = (j >> 1) * 2 * inner + (j & 1);
    const first = transposed ? j * b.columns : j;
    const step = transposed ? 1 : b.columns;
    for (let p = 0; p < inner; p++) packed[start + 2 * p] = b.data[first + p * step];
  }
  return packed;
}

/** Bytes of packed columns that stay in the second-level cache while all rows are multiplied with them. */
const cacheBytes = 1 << 18;

/** `result += alpha left packed`, by chunks of column pairs that fit the cache, four rows at a time. */
function accumulate(left: Matrix, packed: Float64Array, alpha: number, result: Matrix): void {
  const inner = left.columns;
  const pairs = Math.ceil(result.columns / 2);
  const pairsPerChunk = Math.max(1, Math.floor(cacheBytes / (16 * Math.max(1, inner))));
  for (let chunk = 0; chunk < pairs; chunk += pairsPerChunk) {
    const end = Math.min(chunk + pairsPerChunk, pairs);
    for (let row = 0; row < left.rows; row += 4) {
      for (let pair = chunk; pair < end; pair++) accumulateTile(left, packed, alpha, result, row, pair);
    }
  }
}

/** One tile of four rows and two columns of the result. Missing rows repeat the last one and are not stored. */
function accumulateTile(
  left: Matrix,
  packed: Float64Array,
  alpha: number,
  result: Matrix,
  row: number,
  pair: number,
): void {
  const { data, columns: inner } = left;
  const last = left.rows - 1;
  let at0 = row * inner;
  let at1 = Math.min(row + 1, last) * inner;
  let at2 = Math.min(row + 2, last) * inner;
  let at3 = Math.min(row + 3, last) * inner;
  let [s00, s01, s10, s11, s20, s21, s30, s31] = [0, 0, 0, 0, 0, 0, 0, 0];
  const packedEnd = (pair + 1) * 2 * inner;
  for (let at = pair * 2 * inner; at < packedEnd; at += 2) {
    const b0 = packed[at];
    const b1 = packed[at + 1];
    const a0 = data[at0++];
    const a1 = data[at1++];
    const a2 = data[at2++];
    const a3 = data[at3++];
    s00 += a0 * b0;
    s01 += a0 * b1;
    s10 += a1 * b0;
    s11 += a1 * b1;
    s20 += a2 * b0;
    s21 += a2 * b1;
    s30 += a3 * b0;
    s31 += a3 * b1;
  }
  store(result, row, 2 * pair, alpha * s00, alpha * s01);
  if (row + 1 <= last) store(result, row + 1, 2 * pair, alpha * s10, alpha * s11);
  if (row + 2 <= last) store(result, row + 2, 2 * pair, alpha * s20, alpha * s21);
  if (row + 3 <= last) store(result, row + 3, 2 * pair, alpha * s30, alpha * s31);
}

/** Adds two neighbouring sums to the result. The second is dropped if it lies behind the last column. */
function store(result: Matrix, row: number, column: number, first: number, second: number): void {
  const at = row * result.columns + column;
  result.data[at] += first;
  if (column + 1 < result.columns) result.data[at + 1] += second;
}

/** The engine that needs nothing but JavaScript: one thread, plain loops. */
export class PlainGemmEngine implements GemmEngine {
  async gemm(a: Matrix, b: Matrix, options: ProductOptions = {}): Promise<Matrix> {
    return multiply(a, b, options);
  }
}

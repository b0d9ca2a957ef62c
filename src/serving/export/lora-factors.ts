import {
  block,
  type GemmEngine,
  type Matrix,
  matrix,
  productNorm,
  type SingularValues,
  stackColumns,
  transpose,
} from '../../linalg/index.js';
import type { Tensor } from '../../tensor/index.js';
import type { LoraLayerReport } from './reports.js';
import { roundedTensor, type WeightDtype, wideValues } from './rounded-tensor.js';

/** One layer's factors, stored: `dW ~ B A`. */
export interface LoraFactors {
  /** A `[rank, dInner]`. */
  readonly loraA: Tensor;
  /** B `[dModel, rank]`. */
  readonly loraB: Tensor;
  readonly report: LoraLayerReport;
}

/** What the factors are stored as. */
export interface LoraStorage {
  /** Rows of A and columns of B. Those beyond the layer's own rank are zero. */
  readonly rank: number;
  readonly dtype: WeightDtype;
}

/**
 * The factors of a weight change `U diag(s) Vᵀ` at a rank: `B = U sqrt(s)`, `A = sqrt(s) Vᵀ`. Both have the singular
 * values `sqrt(s)`, so that 16 bits are equally accurate for both.
 */
export async function loraFactors(
  layer: number,
  change: SingularValues,
  storage: LoraStorage,
  engine: GemmEngine,
): Promise<LoraFactors> {
  const { values } = change;
  const rank = Math.min(storage.rank, values.length);
  const [a, b] = [scaledRows(change.right, values, rank), transpose(scaledRows(transpose(change.left), values, rank))];
  const [storedA, storedB] = [rounded(a, storage.dtype), rounded(b, storage.dtype)];
  const norm = Math.hypot(...values);
  const report = {
    layer,
    rank,
    exactRank: values.length,
    weightChangeNorm: norm,
    truncationError: Math.hypot(...values.subarray(rank)) / norm,
    roundingError: (await distanceOfProducts([b, a], [storedB, storedA], engine)) / norm,
    singularValues: Array.from(values.subarray(0, 8)),
  };
  return { loraA: padded(storedA, storage, 'rows'), loraB: padded(storedB, storage, 'columns'), report };
}

/** `sqrt(s_i) x_i` of the first rows. */
function scaledRows(x: Matrix, values: Float64Array, rank: number): Matrix {
  const rows = block(x, 0, rank, 0, x.columns);
  return matrix(
    rank,
    x.columns,
    rows.data.map((value, i) => value * Math.sqrt(values[Math.floor(i / x.columns)])),
  );
}

function rounded({ rows, columns, data }: Matrix, dtype: WeightDtype): Matrix {
  return matrix(rows, columns, wideValues(roundedTensor(dtype, [rows, columns], data)));
}

/** `|b' a' - b a|` by `b' a' - b a = [b' - b, b] [a'; a' - a]`: small terms are never differences of large ones. */
async function distanceOfProducts(
  [b, a]: readonly [Matrix, Matrix],
  [otherB, otherA]: readonly [Matrix, Matrix],
  engine: GemmEngine,
): Promise<number> {
  const left = stackColumns(difference(otherB, b), b);
  const right = stackColumns(transpose(otherA), transpose(difference(otherA, a)));
  return productNorm(left, transpose(right), engine);
}

function difference(x: Matrix, y: Matrix): Matrix {
  return matrix(
    x.rows,
    x.columns,
    x.data.map((value, i) => value - y.data[i]),
  );
}

function padded(x: Matrix, { rank, dtype }: LoraStorage, side: 'rows' | 'columns'): Tensor {
  const wide = side === 'rows' ? transpose(x) : x;
  const filled = stackColumns(wide, matrix(wide.rows, rank - wide.columns));
  const { rows, columns, data } = side === 'rows' ? transpose(filled) : filled;
  return roundedTensor(dtype, [rows, columns], data);
}

/** @file The same values, written into one layer in several rounds. */
import {
  appendRound,
  block,
  type EditMemory,
  emptyMemory,
  type GemmEngine,
  type Matrix,
  stackColumns,
  stackRows,
} from '../../linalg/index.js';

/**
 * What a round's solve knows of earlier rounds. `kept`: their keys, `C = lambda C0 + K_p K_pᵀ`, as in this product.
 * `forgotten`: nothing, `C = lambda C0`, as where MEMIT or EMMET is applied to one batch after the other.
 */
export const historyKinds = ['kept', 'forgotten'] as const;
export type HistoryKind = (typeof historyKinds)[number];

/** What is written: one column for each row. */
export interface SplitRows {
  /** `K`: float64 [dInner, rows]. */
  readonly keys: Matrix;
  /** The key in each row's first text, where its residual is measured: float64 [dInner, rows]. */
  readonly firstKeys: Matrix;
  /** What is to be added to the layer's output: float64 [dModel, rows]. */
  readonly deltas: Matrix;
}

/** How rows are written. */
export interface SplitSolve {
  /** Columns of each round, from and up to, ascending. */
  readonly rounds: readonly (readonly [from: number, to: number])[];
  /** lambda / dInner; 0 is the limit, see {@link solveInRounds}. */
  readonly momentWeight: number;
  readonly history: HistoryKind;
}

/** What stands for a moment weight of zero. */
const limitWeight = 1e-9;

/**
 * Writes rows in consecutive rounds, in float64 and without the rounding of stored segments:
 *
 *     R = Delta - dW K_first,   dW += R Kᵀ (C + K Kᵀ)⁻¹
 *
 * with `C` by the kind of history. This is MEMIT's objective, with one `lambda` for what is to stay.
 *
 * A moment weight of 0 asks for EMMET's constraint `dW K = R` in place of the squares, whose solution is
 * `R (Kᵀ C0⁻¹ K)⁻¹ Kᵀ C0⁻¹`. It is the limit of the same formula, and is computed as it: with `lambda = 1e-9 dInner`. Of a
 * residual along an eigenvector of the gram matrix with eigenvalue `s`, the share `lambda / (lambda + s)` stays unwritten: a
 * millionth where `s` is a thousandth of what an ordinary key has. Keys that are equal up to rounding have no exact solution;
 * there the limit is the pseudo-inverse. The written shares say how well the constraints hold.
 *
 * @param factor `F`, `C0⁻¹ = Fᵀ F`: float64 [dInner, dInner]
 * @returns the sum of all rounds, which no round can be appended to where the history is forgotten, and the share of each row's
 *   residual that its own round wrote
 */
export async function solveInRounds(
  { keys, firstKeys, deltas }: SplitRows,
  { rounds, momentWeight, history }: SplitSolve,
  factor: Matrix,
  engine: GemmEngine,
): Promise<{ readonly memory: EditMemory; readonly writtenShare: readonly number[] }> {
  const empty = emptyMemory(keys.rows, deltas.rows, (momentWeight || limitWeight) * keys.rows);
  let memory = empty;
  const writtenShare: number[] = [];
  for (const [from, to] of rounds) {
    const own = (a: Matrix) => block(a, 0, a.rows, from, to);
    const responses = await engine.gemm(memory.whitenedKeys, own(firstKeys));
    const residuals = await engine.gemm(memory.coefficients, responses, { alpha: -1, add: own(deltas) });
    const before = history === 'kept' ? memory : empty;
    const written = await appendRound(before, own(keys), residuals, factor, engine);
    writtenShare.push(...written.writtenShare);
    memory = history === 'kept' ? written.memory : sum(memory, written.memory);
  }
  // A row that answers alone asks for its value, whatever the rounds before.
  const asked = { ...memory, targets: deltas };
  if (history === 'kept') return { memory: asked, writtenShare };
  return { memory: { ...asked, gram: await engine.gemm(memory.whitenedKeys, keys) }, writtenShare };
}

/** The sum of two updates, of which neither knows the other: only `dW = A E`. */
const sum = (one: EditMemory, other: EditMemory): EditMemory => ({
  ...one,
  whitenedKeys: stackRows(one.whitenedKeys, other.whitenedKeys),
  coefficients: stackColumns(one.coefficients, other.coefficients),
});

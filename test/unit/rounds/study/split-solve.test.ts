import { describe, expect, it } from 'vitest';
import {
  inverseFactor,
  type Matrix,
  matrix,
  PlainGemmEngine,
  transpose,
  weightChange,
} from '../../../../src/linalg/index.js';
import { type SplitSolve, solveInRounds } from '../../../../src/rounds/study/split-solve.js';
import { eliminate, naiveProduct, plus } from '../../../support/dense-update.js';
import { gaussian } from '../../../support/random-matrix.js';
import { selectColumns } from '../../../support/select-columns.js';

const [dInner, dModel, rows] = [7, 4, 6];
const engine = new PlainGemmEngine();

const columnsOf = (a: Matrix, from: number, to: number) =>
  selectColumns(
    a,
    [...Array(a.columns).keys()].filter((column) => column >= from && column < to),
  );
const largest = ({ data }: Matrix) => Math.max(...data.map(Math.abs));

/** `C0` of random texts, and what is written: keys are not those of the first texts. */
function problem() {
  const texts = gaussian(dInner, 40, 1);
  const moment = naiveProduct(texts, transpose(texts));
  const keys = gaussian(dInner, rows, 2);
  return {
    moment,
    keys,
    firstKeys: plus(keys, gaussian(dInner, rows, 3), 0.1),
    deltas: gaussian(dModel, rows, 4),
  };
}

type Problem = ReturnType<typeof problem>;

/** The equations as they stand, with one dense elimination a round. */
function denseChange({ moment, keys, firstKeys, deltas }: Problem, solve: SplitSolve): Matrix {
  const start = plus(matrix(dInner, dInner), moment, solve.momentWeight * dInner);
  let accumulator = start;
  let change = matrix(dModel, dInner);
  for (const [from, to] of solve.rounds) {
    const own = columnsOf(keys, from, to);
    const residuals = plus(columnsOf(deltas, from, to), naiveProduct(change, columnsOf(firstKeys, from, to)), -1);
    const together = plus(accumulator, naiveProduct(own, transpose(own)));
    change = plus(change, transpose(eliminate(together, naiveProduct(own, transpose(residuals)))));
    accumulator = solve.history === 'kept' ? together : start;
  }
  return change;
}

const solved = async (given: Problem, solve: SplitSolve) => {
  const factor = await inverseFactor(given.moment, engine);
  const { memory, writtenShare } = await solveInRounds(given, solve, factor, engine);
  return { memory, writtenShare, change: await weightChange(memory, engine) };
};

const thirds = [
  [0, 2],
  [2, 4],
  [4, 6],
] as const;
const whole = [[0, 6]] as const;

describe('values written in several rounds', () => {
  it.each(['kept', 'forgotten'] as const)('with a history that is %s are those of the equations', async (history) => {
    const given = problem();
    const solve = { rounds: thirds, momentWeight: 0.3, history };
    const { change } = await solved(given, solve);
    expect(largest(plus(change, denseChange(given, solve), -1))).toBeLessThan(1e-9);
  });

  it('are the same in one round whatever the history, and differ in three', async () => {
    const given = problem();
    const changeOf = async (rounds: SplitSolve['rounds'], history: SplitSolve['history']) =>
      (await solved(given, { rounds, momentWeight: 0.3, history })).change;
    expect(await changeOf(whole, 'forgotten')).toEqual(await changeOf(whole, 'kept'));
    expect(largest(plus(await changeOf(thirds, 'forgotten'), await changeOf(thirds, 'kept'), -1))).toBeGreaterThan(
      0.01,
    );
  });

  it('do not depend on the split where earlier rounds are kept and each key is that of its first text', async () => {
    const { keys, ...given } = problem();
    const same = { ...given, keys, firstKeys: keys };
    const changeOf = async (rounds: SplitSolve['rounds']) =>
      (await solved(same, { rounds, momentWeight: 0.3, history: 'kept' })).change;
    expect(largest(plus(await changeOf(thirds), await changeOf(whole), -1))).toBeLessThan(1e-12);
  });

  it('are constraints in the limit of weight 0, the ones that change the old answers least', async () => {
    const { keys, moment, ...given } = problem();
    const same = { ...given, moment, keys, firstKeys: keys };
    const { change, writtenShare } = await solved(same, { rounds: whole, momentWeight: 0, history: 'kept' });
    expect(largest(plus(naiveProduct(change, keys), same.deltas, -1))).toBeLessThan(1e-5);
    expect(Math.min(...writtenShare)).toBeGreaterThan(1 - 1e-5);
    // EMMET: R (Kᵀ C0⁻¹ K)⁻¹ Kᵀ C0⁻¹.
    const whitened = transpose(eliminate(moment, keys));
    const coefficients = transpose(eliminate(naiveProduct(whitened, keys), transpose(same.deltas)));
    expect(largest(plus(change, naiveProduct(coefficients, whitened), -1))).toBeLessThan(1e-5);
  });

  it('reach the last round in full though two keys are equal, and stay finite', async () => {
    const { keys, ...given } = problem();
    const repeated = matrix(
      dInner,
      rows,
      Float64Array.from(keys.data, (_, i) => keys.data[i - (i % rows)]),
    );
    const same = { ...given, keys: repeated, firstKeys: repeated };
    const { change } = await solved(same, { rounds: whole, momentWeight: 0, history: 'kept' });
    expect(largest(change)).toBeLessThan(100);
    // Of one key all rows ask for: the mean of what they ask for.
    const said = naiveProduct(change, columnsOf(repeated, 0, 1));
    const asked = Float64Array.from({ length: dModel }, (_, r) => {
      const row = same.deltas.data.subarray(r * rows, (r + 1) * rows);
      return row.reduce((sum, value) => sum + value, 0) / rows;
    });
    expect(largest(plus(said, matrix(dModel, 1, asked), -1))).toBeLessThan(1e-5);
  });
});

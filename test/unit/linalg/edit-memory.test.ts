import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InvalidInputError } from '../../../src/errors.js';
import type { AppendedRound } from '../../../src/linalg/append-round.js';
import { whiten } from '../../../src/linalg/append-round.js';
import { replayRound } from '../../../src/linalg/edit-memory.js';
import { multiply } from '../../../src/linalg/gemm.js';
import {
  appendRound,
  type EditMemory,
  emptyMemory,
  type Matrix,
  matrix,
  type RoundSegment,
  type RoundStorage,
  transpose,
  weightChange,
} from '../../../src/linalg/index.js';
import { block, columnNorms, stackColumns, subtract } from '../../../src/linalg/matrix.js';
import { type DenseState, denseStart, denseUpdate, naiveProduct } from '../../support/dense-update.js';
import {
  dInner,
  dModel,
  engine,
  factor,
  history,
  last,
  moment,
  momentWeight,
  type Round,
  round,
  write,
} from '../../support/layer-rounds.js';
import { tolerances } from '../../support/matchers.js';
import { gaussian } from '../../support/random-matrix.js';

const replay = (memory: EditMemory, segment: RoundSegment) => replayRound(memory, segment, engine);

const toFloat32 = (values: Float64Array): Float64Array => Float64Array.from(Float32Array.from(values));
/** Eleven significant bits, the precision of float16 in its normal range. */
const toElevenBits = (values: Float64Array): Float64Array =>
  values.map((value) => {
    const unit = 2 ** (Math.floor(Math.log2(Math.abs(value) || 1)) - 10);
    return Math.round(value / unit) * unit;
  });

describe('whiten', () => {
  it('gives F K and Kᵀ C0⁻¹', async () => {
    const { keys } = round(1, 3);
    const { whitened, whitenedKeys } = await whiten(keys, factor, engine);
    expect(whitened.data).toBeAllclose(naiveProduct(factor, keys).data, tolerances.float64);
    expect(naiveProduct(whitenedKeys, moment).data).toBeAllclose(transpose(keys).data, tolerances.float64);
  });
});

describe('appendRound', () => {
  it('equals the dense update round by round, duplicated keys included', async () => {
    const rounds = history();
    const written = await write(rounds);
    let dense = denseStart(moment, momentWeight, dModel);
    for (let i = 0; i < rounds.length; i++) {
      dense = denseUpdate(dense, rounds[i].keys, rounds[i].residuals);
      const change = await weightChange(written[i].memory, engine);
      expect(change.data).toBeAllclose(dense.weightChange.data, tolerances.float64);
    }
  });

  it('equals the dense update for any sizes of rounds and any weight of the moment', async () => {
    const sizes = fc.array(fc.integer({ min: 0, max: 5 }), { minLength: 1, maxLength: 4 });
    const weight = fc.double({ min: 0.01, max: 1e4, noNaN: true });
    await fc.assert(
      fc.asyncProperty(sizes, weight, fc.integer(), async (counts, lambda, seed) => {
        const rounds = counts.map((count, i) => round((seed % 10_000) + i, count));
        let dense: DenseState = denseStart(moment, lambda, dModel);
        for (const { keys, residuals } of rounds) dense = denseUpdate(dense, keys, residuals);
        const change = await weightChange(last(await write(rounds, lambda)), engine);
        expect(change.data).toBeAllclose(dense.weightChange.data, tolerances.float64);
      }),
      { numRuns: 15 },
    );
  });

  it('keeps A (lambda I + gram) = V and gram = E K', async () => {
    const rounds = history();
    const memory = last(await write(rounds));
    const keys = rounds.map((one) => one.keys).reduce(stackColumns);
    expect(memory.gram.data).toBeAllclose(naiveProduct(memory.whitenedKeys, keys).data, tolerances.float64);
    const solved = multiply(memory.coefficients, memory.gram, {
      add: matrix(
        dModel,
        35,
        memory.coefficients.data.map((value) => momentWeight * value),
      ),
    });
    expect(solved.data).toBeAllclose(memory.targets.data, tolerances.float64);
  });

  it('reports as written share what the dense change of the round leaves of each residual', async () => {
    const rounds = history();
    const written = await write(rounds);
    let dense = denseStart(moment, momentWeight, dModel);
    for (let i = 0; i < rounds.length; i++) {
      const next = denseUpdate(dense, rounds[i].keys, rounds[i].residuals);
      const change = subtract(next.weightChange, dense.weightChange);
      const left = columnNorms(subtract(rounds[i].residuals, naiveProduct(change, rounds[i].keys)));
      const wanted = columnNorms(rounds[i].residuals);
      const expected = left.map((norm, edit) => 1 - norm / wanted[edit]);
      expect(written[i].writtenShare).toBeAllclose(expected, tolerances.float64);
      dense = next;
    }
  });

  it('writes the share g / (1 + g) of a single edit, and at most half on a key written before', async () => {
    const { keys, residuals } = round(3, 1);
    const [first, second] = await write([
      { keys, residuals },
      { keys, residuals: gaussian(dModel, 1, 99) },
    ]);
    const g = first.memory.gram.data[0] / momentWeight;
    expect(first.writtenShare[0]).toBeCloseTo(g / (1 + g), 12);
    expect(second.writtenShare[0]).toBeCloseTo(g / (1 + 2 * g), 12);
    expect(second.writtenShare[0]).toBeLessThan(0.5);
  });

  it('counts a zero residual as written', async () => {
    const { keys } = round(4, 2);
    const [{ writtenShare }] = await write([{ keys, residuals: matrix(dModel, 2) }]);
    expect([...writtenShare]).toEqual([1, 1]);
  });

  it('refuses keys, residuals and factors of another shape, and a moment weight that is not positive', async () => {
    const memory = emptyMemory(dInner, dModel, momentWeight);
    const { keys, residuals } = round(5, 2);
    const appended = (k: Matrix, r: Matrix, f: Matrix) => appendRound(memory, k, r, f, engine);
    await expect(appended(matrix(dInner + 1, 2), residuals, factor)).rejects.toThrow(InvalidInputError);
    await expect(appended(keys, matrix(dModel, 3), factor)).rejects.toThrow(InvalidInputError);
    await expect(appended(keys, residuals, matrix(3, 3))).rejects.toThrow(InvalidInputError);
    for (const weight of [0, -1, Number.NaN, Infinity]) {
      expect(() => emptyMemory(dInner, dModel, weight)).toThrow(InvalidInputError);
    }
  });
});

describe('a coarse rounding of the gram rows of earlier edits', () => {
  /** To multiples of a power of two, at most this share of the largest number. */
  const toSteps = (share: number) => (cross: Matrix) => {
    const largest = cross.data.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
    const step = 2 ** Math.floor(Math.log2(share * largest));
    return matrix(
      cross.rows,
      cross.columns,
      cross.data.map((value) => Math.round(value / step) * step),
    );
  };
  const storage = { roundGram: toFloat32, coarseCross: [toSteps(1 / 127), toSteps(1 / 4000)] };
  const crossOf = ({ gramRows }: AppendedRound['segment']) =>
    block(gramRows, 0, gramRows.rows, 0, gramRows.columns - gramRows.rows);
  const separate = [10, 20, 30, 40].map((seed) => round(seed, 5));

  async function coarsely(rounds: readonly Round[], chosen: RoundStorage = storage): Promise<AppendedRound[]> {
    const written: AppendedRound[] = [];
    let memory = emptyMemory(dInner, dModel, momentWeight);
    for (const { keys, residuals } of rounds) {
      written.push(await appendRound(memory, keys, residuals, factor, engine, chosen));
      memory = last(written);
    }
    return written;
  }

  /** What the weight change answers to all keys, beside what it answers after exact rounds: edit by edit. */
  async function changes(rounds: readonly Round[], written: readonly AppendedRound[]): Promise<Float64Array> {
    const keys = rounds.map((one) => one.keys).reduce(stackColumns);
    let dense = denseStart(moment, momentWeight, dModel);
    for (const one of rounds) dense = denseUpdate(dense, one.keys, one.residuals);
    const [got, wanted] = [await weightChange(last(written), engine), dense.weightChange];
    const norms = columnNorms(last(written).targets);
    return columnNorms(subtract(multiply(got, keys), multiply(wanted, keys))).map((change, i) => change / norms[i]);
  }

  it('is taken when no response changes by more than half a percent a round, against the dense update', async () => {
    const written = await coarsely(separate);
    const kinds = written.map(({ segment }) => storage.coarseCross.map((coarse) => coarse(crossOf(segment)).data));
    for (const [i, { segment }] of written.entries()) {
      if (i > 0) expect(kinds[i]).toContainEqual(crossOf(segment).data);
    }
    const worst = Math.max(...(await changes(separate, written)));
    expect(worst).toBeGreaterThan(1e-7);
    expect(worst).toBeLessThan(0.005 * separate.length);
  });

  it('changes responses of its own round by no more than the bound, measured on the stored keys', async () => {
    const before = last(await coarsely(separate.slice(0, 3), {}));
    const { keys, residuals } = separate[3];
    for (const share of [1 / 127, 1 / 1000]) {
      const coarseCross = [toSteps(share)];
      const [coarse, exact] = [
        await appendRound(before, keys, residuals, factor, engine, { coarseCross }),
        await appendRound(before, keys, residuals, factor, engine),
      ];
      const { gram } = exact.memory;
      // A response that obeys its own memory is V - lambda A: what it really is differs by the error of the gram alone.
      const really = multiply(coarse.memory.coefficients, gram);
      const promised = subtract(
        stackColumns(before.targets, block(exact.segment.targets, 0, dModel, 0, 5)),
        matrix(
          dModel,
          20,
          coarse.memory.coefficients.data.map((value) => momentWeight * value),
        ),
      );
      const norms = columnNorms(exact.memory.targets);
      const shares = columnNorms(subtract(really, promised)).map((change, i) => change / norms[i]);
      expect(Math.max(...shares)).toBeLessThan(0.0051);
    }
  });

  it('leaves the residuals as they were measured: the targets move with the gram', async () => {
    const [first, second] = separate;
    const before = last(await coarsely([first]));
    const { segment } = await appendRound(before, second.keys, second.residuals, factor, engine, {
      coarseCross: [toSteps(1 / 127)],
    });
    const written = multiply(before.coefficients, crossOf(segment), { transB: true });
    expect(subtract(segment.targets, written).data).toBeAllclose(second.residuals.data, tolerances.float64);
  });

  it('is refused for keys written before, whose round is as exact as ever', async () => {
    const again = { keys: block(separate[0].keys, 0, dInner, 0, 5), residuals: gaussian(dModel, 5, 77) };
    const coarseCross = [toSteps(1 / 8)];
    const rounds = [separate[0], again];
    const written = await coarsely(rounds, { roundGram: toFloat32, coarseCross });
    const exact = await coarsely(rounds, { roundGram: toFloat32 });
    expect(last(written)).toEqual(last(exact));
    expect(Math.max(...(await changes(rounds, written)))).toBeLessThan(1e-5);
  });

  it('is refused when no keys have such a gram', async () => {
    const tooLarge = (cross: Matrix) =>
      matrix(
        cross.rows,
        cross.columns,
        cross.data.map(() => 1e6),
      );
    const written = await coarsely(separate, { roundGram: toFloat32, coarseCross: [tooLarge] });
    expect(last(written)).toEqual(last(await coarsely(separate, { roundGram: toFloat32 })));
  });

  it('lets other errors pass', async () => {
    const broken = () => {
      throw new RangeError('broken');
    };
    await expect(coarsely(separate, { coarseCross: [broken] })).rejects.toThrow('broken');
  });
});

describe('a replayed round', () => {
  it('rebuilds the very same memory from the segments', async () => {
    const written = await write(history());
    let memory = emptyMemory(dInner, dModel, momentWeight);
    for (const { segment } of written) memory = await replay(memory, segment);
    expect(memory).toEqual(last(written));
  });

  it('rebuilds the very same memory from rounded segments when the writer rounded them', async () => {
    const storage = { roundKeys: toElevenBits, roundTargets: toFloat32, roundGram: toFloat32 };
    let memory = emptyMemory(dInner, dModel, momentWeight);
    let replayed = memory;
    for (const { keys, residuals } of history()) {
      const written = await appendRound(memory, keys, residuals, factor, engine, storage);
      expect(toElevenBits(written.segment.whitenedKeys.data)).toEqual(written.segment.whitenedKeys.data);
      expect(toFloat32(written.segment.gramRows.data)).toEqual(written.segment.gramRows.data);
      memory = written.memory;
      replayed = await replay(replayed, written.segment);
    }
    expect(replayed).toEqual(memory);
  });

  it('has the gram of the rounded keys: Ê C0 Êᵀ', async () => {
    let memory = emptyMemory(dInner, dModel, momentWeight);
    for (const { keys, residuals } of history()) {
      ({ memory } = await appendRound(memory, keys, residuals, factor, engine, { roundKeys: toElevenBits }));
    }
    const e = memory.whitenedKeys;
    expect(memory.gram.data).toBeAllclose(multiply(multiply(e, moment), e, { transB: true }).data, tolerances.float64);
  });

  it('loses less than half a percent of the responses to keys of eleven bits', async () => {
    const rounds = history();
    let memory = emptyMemory(dInner, dModel, momentWeight);
    for (const { keys, residuals } of rounds) {
      ({ memory } = await appendRound(memory, keys, residuals, factor, engine, { roundKeys: toElevenBits }));
    }
    const keys = rounds.map((one) => one.keys).reduce(stackColumns);
    const respond = ({ coefficients, whitenedKeys }: EditMemory) =>
      multiply(coefficients, multiply(whitenedKeys, keys));
    const exact = last(await write(rounds));
    expect(respond(memory).data).toBeAllclose(respond(exact).data, { relative: 5e-3 });
  });
});

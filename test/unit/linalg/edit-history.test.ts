import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InvalidInputError } from '../../../src/errors.js';
import type { HistoryRound } from '../../../src/linalg/edit-history.js';
import { appendRound, emptyMemory, removeEdits, replayRounds, weightChange } from '../../../src/linalg/index.js';
import { subtract } from '../../../src/linalg/matrix.js';
import { OnnxGemmEngine } from '../../../src/runtime/index.js';
import { denseStart, denseUpdate, naiveProduct } from '../../support/dense-update.js';
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
import { expectSameMemory } from '../../support/same-state.js';
import { selectColumns } from '../../support/select-columns.js';

const empty = emptyMemory(dInner, dModel, momentWeight);

describe('replayRounds', () => {
  it('ends where the rounds one by one ended, from any of them on', async () => {
    const written = await write(history());
    const rounds = written.map(({ segment }) => ({ removed: [], segment }));
    for (const [i, { memory }] of written.entries()) {
      const continued = await replayRounds(memory, rounds.slice(i + 1), engine);
      expectSameMemory(continued, last(written));
      // Not only up to rounding: whichever memory it goes on from.
      expect(continued).toEqual(await replayRounds(empty, rounds, engine));
    }
  });

  it('ends where appending and removing one by one ended, whatever each round takes back', async () => {
    const sizes = fc.array(
      fc.record({ count: fc.integer({ min: 0, max: 4 }), removed: fc.array(fc.nat(), { maxLength: 3 }) }),
      { minLength: 1, maxLength: 5 },
    );
    await fc.assert(
      fc.asyncProperty(sizes, fc.nat(5), async (wanted, from) => {
        const states = [empty];
        const rounds: HistoryRound[] = [];
        for (const [i, { count, removed: numbers }] of wanted.entries()) {
          const before = states[i];
          const removed = before.gram.rows === 0 ? [] : numbers.map((number) => number % before.gram.rows);
          const { keys, residuals } = round(i, count);
          const base = await removeEdits(before, removed, engine);
          const { memory, segment } = await appendRound(base, keys, residuals, factor, engine);
          rounds.push({ removed, segment });
          states.push(memory);
        }
        const start = Math.min(from, rounds.length - 1);
        expectSameMemory(await replayRounds(states[start], rounds.slice(start), engine), states[rounds.length]);
      }),
      { numRuns: 40 },
    );
  });

  it('is the same with products of the runtime, for more edits than a block has rows', async () => {
    const [{ memory, segment }] = await write([round(1, 150)]);
    const removed = [0, 149];
    const { keys, residuals } = round(2, 3);
    const second = await appendRound(await removeEdits(memory, removed, engine), keys, residuals, factor, engine);
    const rounds = [
      { removed: [], segment },
      { removed, segment: second.segment },
    ];
    const onnx = new OnnxGemmEngine();
    expectSameMemory(await replayRounds(empty, rounds, onnx), await replayRounds(empty, rounds, engine));
    await onnx.dispose();
  });

  it('refuses rounds that do not continue one another', async () => {
    const [first, second] = await write([round(1, 3), round(2, 2)]);
    const rounds = [first, second].map(({ segment }) => ({ removed: [], segment }));
    const refused = (memory: typeof empty, ...given: HistoryRound[]) =>
      expect(replayRounds(memory, given, engine)).rejects.toThrow(InvalidInputError);
    await refused(empty, rounds[1]);
    await refused(empty, rounds[1], rounds[0]);
    await refused(empty, rounds[0], { ...rounds[1], removed: [1] });
    await refused(empty, rounds[0], { ...rounds[1], removed: [3] });
    await refused(emptyMemory(dInner + 1, dModel, 1), ...rounds);
    await refused(emptyMemory(dInner, dModel + 1, 1), ...rounds);
  });
});

describe('removeEdits', () => {
  const kept = (one: Round, indices: readonly number[]): Round => ({
    keys: selectColumns(one.keys, indices),
    residuals: selectColumns(one.residuals, indices),
  });

  it('equals, in one round, a dense solve without the revoked edits', async () => {
    const whole = round(60, 9);
    const memory = await removeEdits(last(await write([whole])), [1, 4, 8, 4], engine);
    const rest = kept(whole, [0, 2, 3, 5, 6, 7]);
    const dense = denseUpdate(denseStart(moment, momentWeight, dModel), rest.keys, rest.residuals);
    const change = await weightChange(memory, engine);
    expect(change.data).toBeAllclose(dense.weightChange.data, tolerances.float64);
  });

  it('equals, over five rounds, the dense rounds without the edits, each asking again for its whole target', async () => {
    const rounds = history();
    const memory = last(await write(rounds));
    const revoked = [0, 4, 9, 22, 34];
    let dense = denseStart(moment, momentWeight, dModel);
    rounds.forEach(({ keys }, r) => {
      const rest = [0, 1, 2, 3, 4, 5, 6].filter((edit) => !revoked.includes(7 * r + edit));
      const restKeys = selectColumns(keys, rest);
      const restTargets = selectColumns(
        memory.targets,
        rest.map((edit) => 7 * r + edit),
      );
      const residuals = subtract(restTargets, naiveProduct(dense.weightChange, restKeys));
      dense = denseUpdate(dense, restKeys, residuals);
    });
    const change = await weightChange(await removeEdits(memory, revoked, engine), engine);
    expect(change.data).toBeAllclose(dense.weightChange.data, tolerances.float64);
  });

  it('takes back a last round, and goes on from there as if it had not been', async () => {
    const rounds = history();
    const written = await write(rounds);
    const before = written[3].memory;
    const back = await removeEdits(last(written), [28, 29, 30, 31, 32, 33, 34], engine);
    expect(back.coefficients.data).toBeAllclose(before.coefficients.data, tolerances.float64);
    const again = await appendRound(back, rounds[4].keys, rounds[4].residuals, factor, engine);
    expect(again.memory.coefficients.data).toBeAllclose(last(written).coefficients.data, tolerances.float64);
  });

  it('lets a replacing edit be written in full once the replaced one is revoked', async () => {
    const { keys, residuals } = round(70, 1);
    const memory = last(await write([{ keys, residuals }]));
    const fresh = await appendRound(await removeEdits(memory, [0], engine), keys, residuals, factor, engine);
    expect(fresh.memory.coefficients.data).toBeAllclose(memory.coefficients.data, tolerances.float64);
  });

  it('can remove everything and nothing, and refuses an index that is not there', async () => {
    const memory = last(await write([round(1, 3)]));
    expect(await removeEdits(memory, [0, 1, 2], engine)).toEqual(emptyMemory(dInner, dModel, momentWeight));
    expect((await removeEdits(memory, [], engine)).coefficients.data).toBeAllclose(
      memory.coefficients.data,
      tolerances.float64,
    );
    for (const index of [-1, 3, 0.5]) {
      await expect(removeEdits(memory, [index], engine)).rejects.toThrow(InvalidInputError);
    }
  });
});

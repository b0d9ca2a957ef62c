import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  emptyState,
  hooksOf,
  KeyCollection,
  type RoundContext,
  resolveHyperparameters,
  segmentStorage,
  writeRound,
} from '../../../src/editing/index.js';
import type { KeyRow } from '../../../src/editing/key-rows.js';
import { UnwritableEditsError } from '../../../src/errors.js';
import { type Matrix, matrix, PlainGemmEngine } from '../../../src/linalg/index.js';
import { identity } from '../../../src/linalg/matrix.js';
import { loadModel, type Model } from '../../../src/model/index.js';
import { gaussian } from '../../support/random-matrix.js';

const directory = fileURLToPath(new URL('../../golden/models/llama', import.meta.url));

let model: Model;
let context: RoundContext;
beforeAll(async () => {
  model = await loadModel(directory);
  const { dInner, dModel } = model.config;
  // So small a moment weight leaves nothing to hold where the gram matrix has no full rank.
  const settings = resolveHyperparameters({ layers: [0], momentWeight: 1e-14 }, model.config);
  const collection = await KeyCollection.compile(model, settings);
  const statistics = [{ layer: 0, inverseFactor: identity(dInner), sketch: identity(dInner) }];
  const storage = segmentStorage(dInner, dModel);
  context = { settings, collection, statistics, engine: new PlainGemmEngine(), rowsPerBatch: 256, storage };
});
afterAll(() => context.collection.dispose());

const rowAt = (e: number): KeyRow => {
  const { vocab } = model.config;
  const tokenIds = [3 + (e % 7), (11 * e + 5) % vocab, (17 * e + 1) % vocab, 4];
  return { id: `edit ${e}`, texts: [{ tokenIds, lookupIndex: 2, weight: 1 }], threshold: 0.6 };
};
const write = (rows: readonly KeyRow[], targets: Matrix, before = emptyState(model.config, context.settings)) =>
  writeRound(context, before, { rows, targets, prompts: [] });

async function unwritable(rows: readonly KeyRow[], targets: Matrix): Promise<UnwritableEditsError> {
  const error = await write(rows, targets).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(UnwritableEditsError);
  return error as UnwritableEditsError;
}

describe('a round that cannot be written as a whole', () => {
  it('names the rows whose targets are no numbers', async () => {
    const rows = [0, 1, 2].map(rowAt);
    const targets = gaussian(model.config.dModel, 3, 1);
    targets.data[1] = Number.NaN;
    const { edits: named } = await unwritable(rows, targets);
    expect(named).toEqual([{ id: 'edit 1', reason: 'residual in layer 0: a finite norm, got NaN' }]);
  });

  it('names a row with which its system cannot be solved; without such rows it can be', async () => {
    const { dInner, dModel } = model.config;
    let rows = Array.from({ length: dInner + 8 }, (_, e) => rowAt(e));
    const { edits: named } = await unwritable(rows, gaussian(dModel, rows.length, 1));
    expect(named).toHaveLength(1);
    expect(named[0].reason).toMatch(/^gram of the edits: positive definite, got pivot .* at row \d+$/);
    for (let left = 8 + dInner; left > 0; left--) {
      const targets = gaussian(dModel, rows.length, 1);
      const error = await write(rows, targets).then(
        () => undefined,
        (thrown: UnwritableEditsError) => thrown,
      );
      if (error === undefined) break;
      const ids = new Set(error.edits.map(({ id }) => id));
      rows = rows.filter(({ id }) => !ids.has(id));
    }
    expect(rows.length).toBeGreaterThan(dInner / 2);
    expect((await write(rows, gaussian(dModel, rows.length, 1))).segment.addedIds).toHaveLength(rows.length);
  });
});

describe('a round of several rows a memory', () => {
  const rowsOf = (id: string, numbers: readonly number[]): KeyRow[] => numbers.map((e) => ({ ...rowAt(e), id }));

  it('writes all of them at once: each puts out what it should, in its own texts', async () => {
    const { settings, collection, statistics, rowsPerBatch } = context;
    const rows = [...rowsOf('one', [0, 1]), ...rowsOf('two', [2])];
    const targets = gaussian(model.config.dModel, rows.length, 3);
    const { state, segment, writtenShare } = await write(rows, targets);
    expect(segment.addedIds).toEqual(['one', 'one', 'two']);
    expect(state.rowIds).toEqual(['one', 'one', 'two']);
    expect(writtenShare).toEqual([expect.any(Float64Array)]);
    expect(writtenShare[0]).toBeAllclose([1, 1, 1], { relative: 1e-6 });
    const hooks = hooksOf(state, statistics);
    const { hidden } = await collection.collect(rows, hooks, rowsPerBatch, () => 'open');
    // The stored round has eight bits a number, and the state is solved for these.
    expect(hidden.data).toBeAllclose(targets.data, { relative: 0.02 });
    expect(settings.layers).toEqual([0]);
  });

  it('keeps the threshold of each row, as the hook file stores it', async () => {
    const rows = [0.6, 0.95].map((threshold, e) => ({ ...rowAt(e), threshold }));
    const { state, segment } = await write(rows, gaussian(model.config.dModel, 2, 3));
    const thresholds = [Math.fround(0.6), Math.fround(0.95)];
    expect(state.layers[0].thresholds).toEqual(thresholds);
    expect(segment.layers[0].thresholds).toEqual(thresholds);
  });

  it('takes all rows of a replaced memory back before it writes', async () => {
    const { dModel } = model.config;
    const rows = [...rowsOf('one', [0, 1]), ...rowsOf('two', [2])];
    const { state: before } = await write(rows, gaussian(dModel, 3, 3));
    const anew = rowsOf('one again', [0, 1, 3]);
    const targets = gaussian(dModel, 3, 4);
    const replaced = await writeRound(context, before, { rows: anew, targets, prompts: [] }, ['one']);
    expect(replaced.segment.removedIds).toEqual(['one']);
    expect(replaced.state.rowIds).toEqual(['two', 'one again', 'one again', 'one again']);
    const { state: without } = await write(rowsOf('two', [2]), matrix(dModel, 1, column(gaussian(dModel, 3, 3), 2)));
    const direct = await write(anew, targets, without);
    expect(replaced.state.layers[0].memory.coefficients.data).toBeAllclose(
      direct.state.layers[0].memory.coefficients.data,
      { relative: 1e-6 },
    );
  });
});

describe('a round behind a gate that a row answers alone', () => {
  it('asks for the values of its rows, whatever was written before at keys like theirs', async () => {
    const { dModel } = model.config;
    const ofTwoTexts = (e: number): KeyRow => {
      const [text] = rowAt(e).texts;
      return { ...rowAt(e), texts: [text, ...rowAt(e + 7).texts].map((one) => ({ ...one, weight: 0.5 })) };
    };
    const rows = [ofTwoTexts(0), ofTwoTexts(1)];
    const targets = gaussian(dModel, 2, 5);
    const { state: before } = await write([0, 1, 2, 7, 8].map(rowAt), gaussian(dModel, 5, 3));
    const { segment } = await write(rows, targets, before);
    const alone = await write(rows, targets);
    expect(context.settings.gate).toBe('nearest');
    expect(segment.layers[0].round.targets.data).toBeAllclose(alone.segment.layers[0].round.targets.data, {
      relative: 0.02,
    });
  });
});

const column = ({ rows, columns, data }: Matrix, c: number): Float64Array =>
  Float64Array.from({ length: rows }, (_, r) => data[r * columns + c]);

import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  emptyState,
  KeyCollection,
  type RoundContext,
  resolveHyperparameters,
  segmentStorage,
  writeRound,
} from '../../../src/editing/index.js';
import type { TokenizedEdit } from '../../../src/editing/prompts.js';
import { UnwritableEditsError } from '../../../src/errors.js';
import { type Matrix, PlainGemmEngine } from '../../../src/linalg/index.js';
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

const editAt = (e: number): TokenizedEdit => {
  const { vocab } = model.config;
  const tokenIds = [3 + (e % 7), (11 * e + 5) % vocab, (17 * e + 1) % vocab, 4];
  const prompt = { tokenIds, lookupIndex: 2 };
  return { id: `edit ${e}`, prompts: [prompt], targetIds: [5], subjectPrompt: prompt, keep: [] };
};
const write = (edits: readonly TokenizedEdit[], targets: Matrix) =>
  writeRound(context, emptyState(model.config, context.settings), edits, targets);

async function unwritable(edits: readonly TokenizedEdit[], targets: Matrix): Promise<UnwritableEditsError> {
  const error = await write(edits, targets).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(UnwritableEditsError);
  return error as UnwritableEditsError;
}

describe('a round that cannot be written as a whole', () => {
  it('names the edits whose targets are no numbers', async () => {
    const edits = [0, 1, 2].map(editAt);
    const targets = gaussian(model.config.dModel, 3, 1);
    targets.data[1] = Number.NaN;
    const { edits: named } = await unwritable(edits, targets);
    expect(named).toEqual([{ id: 'edit 1', reason: 'residual in layer 0: a finite norm, got NaN' }]);
  });

  it('names an edit with which its system cannot be solved; without such edits it can be', async () => {
    const { dInner, dModel } = model.config;
    let edits = Array.from({ length: dInner + 8 }, (_, e) => editAt(e));
    const { edits: named } = await unwritable(edits, gaussian(dModel, edits.length, 1));
    expect(named).toHaveLength(1);
    expect(named[0].reason).toMatch(/^gram of the edits: positive definite, got pivot .* at row \d+$/);
    for (let left = 8 + dInner; left > 0; left--) {
      const targets = gaussian(dModel, edits.length, 1);
      const error = await write(edits, targets).then(
        () => undefined,
        (thrown: UnwritableEditsError) => thrown,
      );
      if (error === undefined) break;
      const ids = new Set(error.edits.map(({ id }) => id));
      edits = edits.filter(({ id }) => !ids.has(id));
    }
    expect(edits.length).toBeGreaterThan(dInner / 2);
    expect((await write(edits, gaussian(dModel, edits.length, 1))).segment.addedIds).toHaveLength(edits.length);
  });
});

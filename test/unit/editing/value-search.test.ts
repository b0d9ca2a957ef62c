import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import {
  emptyState,
  hooksOf,
  resolveHyperparameters,
  type TokenizedEdit,
  ValueSearch,
} from '../../../src/editing/index.js';
import { matrix } from '../../../src/linalg/index.js';
import { loadModel } from '../../../src/model/index.js';
import { tolerances } from '../../support/matchers.js';

const directory = fileURLToPath(new URL('../../golden/models/llama', import.meta.url));

/** Three templates, the later ones longer. */
function edit(id: string, target: number): TokenizedEdit {
  const prompt = (prefix: readonly number[]) => ({
    tokenIds: [...prefix, 5, 6, 7, 8],
    lookupIndex: prefix.length + 1,
  });
  return {
    id,
    prompts: [prompt([]), prompt([11, 12]), prompt([13, 14, 15])],
    targetIds: [target, target + 1],
    subjectPrompt: { tokenIds: [5, 6, 9], lookupIndex: 1 },
    keep: [{ tokenIds: [5, 6, 10, 4], lookupIndex: 1 }],
  };
}

async function searched(coarseTemplates: number) {
  const model = await loadModel(directory);
  const settings = resolveHyperparameters({ layers: [0], steps: 60, stopLoss: 0.1, coarseTemplates }, model.config);
  const search = await ValueSearch.compile(model, settings);
  const hooks = hooksOf(emptyState(model.config, settings), [{ layer: 0, sketch: matrix(1, model.config.dInner) }]);
  const edits = [edit('one', 20), edit('two', 30)];
  const found = await search.search(edits, hooks);
  const { objective } = await search.prepare(edits, hooks);
  const ends = await objective.evaluate(
    found.map(({ target, initial }) => target.map((value, i) => value - initial[i])),
  );
  await search.dispose();
  return { found, ends };
}

describe('a value search that begins with few templates', () => {
  it.each([0, 1, 2])('ends on all templates (%i at first)', async (coarseTemplates) => {
    const { found, ends } = await searched(coarseTemplates);
    found.forEach(({ nll, hit, losses }, e) => {
      expect([nll]).toBeAllclose([ends.nll[e]], tolerances.activations);
      expect(hit).toBe(ends.hits[e]);
      expect(nll).toBeLessThan(losses[0]);
    });
  });

  it('means all templates where it is given more than there are', async () => {
    const [all, more] = [await searched(0), await searched(9)];
    expect(more.found.map(({ losses }) => losses[1])).toEqual(all.found.map(({ losses }) => losses[1]));
  });
});

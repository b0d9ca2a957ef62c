import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type Edit,
  emptyState,
  euclideanNorm,
  type HookLayer,
  hooksOf,
  KeyCollection,
  resolveHyperparameters,
} from '../../src/editing/index.js';
import { measureEdits, readBatch, summarise } from '../../src/evaluation/index.js';
import { type Matrix, matrix, transpose } from '../../src/linalg/index.js';
import { loadModel, loadTokenizer, type Model, type Tokenizer } from '../../src/model/index.js';
import { HookableModel } from '../../src/serving/index.js';
import { bundled, pythonModules } from '../bench/options.js';
import { editWithPeer, type PeerEdits } from '../bench/peers/edit-with-peer.js';
import { type PeerSettings, peers } from '../bench/peers/peer-settings.js';
import { pytorchSearch } from '../bench/pytorch-search.js';
import { naiveProduct, plus } from '../support/dense-update.js';
import { pythonWith } from '../support/python.js';
import { gaussian, illConditioned } from '../support/random-matrix.js';
import { subjectOf, textContexts } from '../support/tokenized-subject.js';

const python = pythonWith(...pythonModules);
const tier = 'Peers in PyTorch';
const name = python
  ? tier
  : `${tier}, skipped because neither HOOKLINE_PYTHON nor python3 has ${pythonModules.join(', ')}`;

const contexts = textContexts('It was in the spring of that year. {}', 'Because of the long winter. {}');

describe.skipIf(!python)(name, () => {
  let model: Model;
  let tokenizer: Tokenizer;
  let edits: readonly Edit[];
  beforeAll(async () => {
    model = await loadModel(`${bundled}/model`);
    tokenizer = await loadTokenizer(model.directory);
    ({ edits } = await readBatch(`${bundled}/batches/round-1.jsonl`, { limit: 2 }));
  });

  const edited = (settings: PeerSettings, rounds: readonly (readonly Edit[])[], moments: Matrix) =>
    editWithPeer({
      python: python!,
      model,
      settings,
      rounds,
      contexts: contexts.map(({ template }) => template),
      moments: new Map(settings.layers.map((layer) => [layer, moments])),
    });

  /** Base keys K [dInner, edits] at a layer, as our own code reads them: means over the contexts. */
  async function keysAt(layer: number): Promise<Matrix> {
    const settings = resolveHyperparameters({ layers: [layer] }, model.config);
    const collection = await KeyCollection.compile(model, settings);
    const sources = edits.map((edit) => {
      const { texts } = subjectOf(tokenizer, [edit], { contexts }).facts[0];
      const weight = 1 / texts.length;
      return { texts: texts.map(({ tokenIds, lookups: [lookupIndex] }) => ({ tokenIds, lookupIndex, weight })) };
    });
    const hooks = hooksOf(emptyState(model.config, settings), [{ layer, sketch: matrix(1, model.config.dInner) }]);
    const { keys } = await collection.collect(sources, hooks, 256, () => 'closed');
    await collection.dispose();
    return keys.get(layer)!;
  }

  it('MEMIT in one layer is the closed form, of our own keys and of values that the plain search finds', async () => {
    const layer = 3;
    const { dInner, dModel } = model.config;
    const settings = { ...peers.MEMIT, layers: [layer], steps: 5, stopLoss: 0, momentWeight: 2 };
    const moment = illConditioned(dInner, 100, 1);
    const { hooks } = await edited(settings, [edits], moment);
    const subjects = edits.map((edit) => subjectOf(tokenizer, [edit], { contexts }));
    const plain = await pytorchSearch(
      python!,
      model.directory,
      { ...resolveHyperparameters({ layers: [layer] }, model.config), ...settings, layers: [layer] },
      subjects,
    );
    const residuals = transpose(matrix(edits.length, dModel, Float64Array.from(plain.flatMap(({ delta }) => delta))));
    expect(hooks[0].coefficients).toBeAllclose(residuals.data, { relative: 1e-3 });
    // A (lambda C0 + K Kᵀ) = Kᵀ
    const keys = await keysAt(layer);
    const system = plus(naiveProduct(keys, transpose(keys)), moment, settings.momentWeight);
    const directions = matrix(edits.length, dInner, Float64Array.from(hooks[0].whitenedKeys));
    expect(naiveProduct(directions, system).data).toBeAllclose(transpose(keys).data, { relative: 1e-3 });
  });

  describe('AlphaEdit over two rounds in two layers', () => {
    const settings = { ...peers.AlphaEdit, layers: [2, 3], nullThreshold: 1e-6, ridge: 0.1 };
    let seen: Matrix;
    let written: PeerEdits;
    let hooked: HookableModel;
    beforeAll(async () => {
      seen = gaussian(model.config.dInner, 300, 2);
      written = await edited(
        settings,
        edits.map((edit) => [edit]),
        naiveProduct(seen, transpose(seen)),
      );
      hooked = await HookableModel.compile(model, { layers: settings.layers, gate: 'none' });
    });
    afterAll(() => hooked?.dispose());

    /** Length of a layer's responses to keys, as a share of what the lengths of both allow. */
    const response = ({ whitenedKeys }: HookLayer, keys: Matrix): number => {
      const directions = matrix(edits.length, keys.rows, Float64Array.from(whitenedKeys));
      const lengths = euclideanNorm(directions.data) * euclideanNorm(keys.data);
      return euclideanNorm(naiveProduct(directions, keys).data) / lengths;
    };

    it('leaves the keys alone that the text shows, and not those of the edits', async () => {
      for (const hook of written.hooks) {
        expect(response(hook, seen)).toBeLessThan(1e-7);
        expect(response(hook, await keysAt(hook.layer))).toBeGreaterThan(1e-2);
      }
    });

    it('says its targets, and is measured here as PyTorch measures it', async () => {
      const measured = await measureEdits(hooked, tokenizer, edits, written.hooks);
      expect(summarise(measured).reliability).toBe(1);
      expect(measured.map(({ nll }) => nll!)).toBeAllclose(written.nll, { relative: 1e-3, absolute: 1e-4 });
    });
  });
});

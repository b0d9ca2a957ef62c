import { describe, expect, it } from 'vitest';
import {
  emptyState,
  euclideanNorm,
  hooksOf,
  KeyCollection,
  resolveHyperparameters,
  ValueSearch,
} from '../../src/editing/index.js';
import { matrix, transpose } from '../../src/linalg/index.js';
import { loadModel } from '../../src/model/index.js';
import { tolerances } from '../support/matchers.js';
import { GoldenModel, goldenNames } from './golden-model.js';

const cases = goldenNames.flatMap((name) => [0, 1].map((layer) => ({ name, layer })));

describe.each(cases)('the value search of $name at layer $layer', ({ name, layer }) => {
  it('agrees with PyTorch on the objective, its gradient, every loss and the targets', async () => {
    const golden = new GoldenModel(name);
    const model = await loadModel(golden.directory);
    const { value } = golden.record;
    const settings = resolveHyperparameters(
      {
        layers: [layer],
        klFactor: value.klFactor,
        keepFactor: value.keepFactor,
        endFactor: 0,
        weightDecay: value.weightDecay,
        clampNormFactor: value.clampNormFactor,
        learningRate: value.learningRate,
        steps: value.steps,
        stopLoss: 0,
        templatesPerStep: 0,
        descent: 'loss',
      },
      model.config,
    );
    const subjects = value.edits[layer].map((index) => golden.subject(index));
    const array = (what: string) => golden.array(`value.layer.${layer}.${what}`);
    const { dModel } = model.config;
    const search = await ValueSearch.compile(model, settings);

    const { objective, atZero } = await search.prepare(subjects);
    for (const at of ['zero', 'random']) {
      const deltas = subjects.map((_, e) => array(`${at}.deltas`).subarray(e * dModel, (e + 1) * dModel));
      const evaluation = await objective.evaluate(deltas);
      const { nll, keptLoss, gradients } = evaluation;
      if (at === 'zero') {
        gradients.forEach((gradient, e) => {
          const taught = objective.sequencesOf(e).filter(({ isTaught }) => isTaught);
          const sum = (of: (sequence: number) => number) =>
            taught.reduce((total, { sequence, weight }) => total + weight * of(sequence), 0);
          expect([nll[e]]).toBeAllclose([sum((s) => atZero[s].nll)], tolerances.activations);
          const atSum = gradient.map((_, i) => sum((s) => atZero[s].gradient[i]));
          expect(gradient).toBeAllclose(atSum, tolerances.activations);
        });
      }
      const terms = array(`${at}.terms`); // [edits, 5]: nll, kl, keep, weightDecay, total
      const expectedGradients = array(`${at}.gradients`);
      subjects.forEach((_, e) => {
        expect([nll[e]]).toBeAllclose([terms[e * 5]], tolerances.activations);
        expect([keptLoss[e]]).toBeAllclose([terms[e * 5 + 1] + terms[e * 5 + 2]], {
          relative: tolerances.activations.relative,
          absolute: 1e-5,
        });
        const delta = deltas[e];
        const norm = Math.hypot(...delta);
        const decay = norm === 0 ? 0 : value.weightDecay / (norm * objective.hiddenNormOf(e) ** 2);
        const total = Float64Array.from(gradients[e], (g, i) => g + decay * delta[i]);
        expect(total).toBeAllclose(expectedGradients.subarray(e * dModel, (e + 1) * dModel), tolerances.activations);
      });
    }

    const found = await search.search(subjects);
    const trajectory = array('trajectory.terms'); // [steps + 1, edits, 5] or [edits, steps + 1, 5]
    const targets = array('trajectory.targets');
    found.forEach(({ delta, losses }, e) => {
      const of = (rows: Float64Array) => rows.subarray(e * dModel, (e + 1) * dModel);
      const z = of(array('z'));
      expect([objective.hiddenNormOf(e)]).toBeAllclose([euclideanNorm(z)], tolerances.activations);
      const expected = losses.map((_, step) => trajectory[(e * (value.steps + 1) + step) * 5 + 4]);
      expect(losses).toHaveLength(value.steps + 1);
      expect(losses).toBeAllclose(expected, tolerances.weightChange);
      const target = z.map((value, i) => value + delta[i]);
      expect(target).toBeAllclose(of(targets), tolerances.weightChange);
      const expectedDelta = of(targets).map((value, i) => value - z[i]);
      expect(delta).toBeAllclose(expectedDelta, tolerances.weightChange);
    });
    await search.dispose();
  });

  it('starts where keys are read: the outputs of the value layer are those of PyTorch', async () => {
    const golden = new GoldenModel(name);
    const model = await loadModel(golden.directory);
    const settings = resolveHyperparameters({ layers: [layer] }, model.config);
    const collection = await KeyCollection.compile(model, settings);
    const prompts = golden.record.value.edits[layer].map((index) => golden.record.edits[index].prompts[0]);
    const sources = prompts.map(({ ids, lookupIndex }) => ({ texts: [{ tokenIds: ids, lookupIndex, weight: 1 }] }));
    const hooks = hooksOf(emptyState(model.config, settings), [{ layer, sketch: matrix(1, model.config.dInner) }]);
    const { hidden } = await collection.collect(sources, hooks, 64, () => 'closed');
    await collection.dispose();
    expect(transpose(hidden).data).toBeAllclose(golden.array(`value.layer.${layer}.z`), tolerances.activations);
  });
});

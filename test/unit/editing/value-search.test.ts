import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { Adam, euclideanNorm } from '../../../src/editing/adam.js';
import {
  emptyState,
  type Hyperparameters,
  hooksOf,
  KeyCollection,
  resolveHyperparameters,
  tokenizeEdit,
  ValueSearch,
} from '../../../src/editing/index.js';
import type { TokenizedEdit } from '../../../src/editing/prompts.js';
import type { ObjectiveEvaluation } from '../../../src/editing/value-objective.js';
import { readBatch } from '../../../src/evaluation/index.js';
import { matrix } from '../../../src/linalg/index.js';
import { identity } from '../../../src/linalg/matrix.js';
import { loadModel, loadTokenizer, type Model } from '../../../src/model/index.js';
import { tolerances } from '../../support/matchers.js';
import { gaussian } from '../../support/random-matrix.js';

const bundledModel = fileURLToPath(new URL('../../../examples/aldermark/model', import.meta.url));
const bundledBatch = fileURLToPath(new URL('../../../examples/aldermark/batches/round-1.jsonl', import.meta.url));
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

interface World {
  readonly model: Model;
  readonly edits: readonly TokenizedEdit[];
}

/** Two layers of random weights. */
async function randomWorld(): Promise<World> {
  return { model: await loadModel(directory), edits: [edit('one', 20), edit('two', 30)] };
}

/** The bundled model and facts that it can learn. */
async function bundledWorld(limit = 3): Promise<World> {
  const [model, tokenizer] = [await loadModel(bundledModel), await loadTokenizer(bundledModel)];
  const { edits } = await readBatch(bundledBatch, { limit });
  const contexts = ['{}', 'The market was full. {}', 'In the evening it rained. {}'];
  return { model, edits: edits.map((fact) => tokenizeEdit(tokenizer, fact, contexts)) };
}

async function opened({ model }: World, overrides: Partial<Hyperparameters>) {
  const settings = resolveHyperparameters({ layers: [0], steps: 60, stopLoss: 0.1, ...overrides }, model.config);
  const hooks = hooksOf(emptyState(model.config, settings), [{ layer: 0, sketch: matrix(1, model.config.dInner) }]);
  return { settings, hooks, search: await ValueSearch.compile(model, settings) };
}

/** Deltas found, and what the whole objective says of them. */
async function searched(world: World, overrides: Partial<Hyperparameters>) {
  const { settings, hooks, search } = await opened(world, overrides);
  const found = await search.search(world.edits, hooks);
  const { objective } = await search.prepare(world.edits, hooks);
  const deltas = found.map(({ target, initial }) => target.map((value, i) => value - initial[i]));
  const ends = await objective.evaluate(deltas);
  await search.dispose();
  return { settings, found, deltas, ends };
}

describe('the parts of an objective', () => {
  it.each([1, 2, 3])('have a mean that is the whole (%i templates each)', async (templates) => {
    const world = await randomWorld();
    const { edits } = world;
    const { hooks, search } = await opened(world, {});
    const { objective } = await search.prepare(edits, hooks);
    const deltas = edits.map((_, e) => gaussian(1, objective.initialOf(e).length, e).data);
    const whole = await objective.evaluate(deltas);
    const parts = objective.parts(templates);
    expect(parts).toHaveLength(Math.ceil(3 / templates));
    const looks = await Promise.all(parts.map((part) => part.evaluate(deltas)));
    await search.dispose();
    edits.forEach((_, e) => {
      const mean = (of: (look: ObjectiveEvaluation, share: number) => number) =>
        looks.reduce((sum, look, p) => sum + of(look, Math.min(templates, 3 - p * templates) / 3), 0);
      expect([mean(({ nll }, share) => share * nll[e])]).toBeAllclose([whole.nll[e]], tolerances.activations);
      expect([mean(({ keptLoss }) => keptLoss[e] / parts.length)]).toBeAllclose(
        [whole.keptLoss[e]],
        tolerances.activations,
      );
      expect(looks.every(({ hits }) => hits[e])).toBe(whole.hits[e]);
      expect(looks.every(({ kept }) => kept[e])).toBe(whole.kept[e]);
      if (templates === 2) return; // parts of two sizes weigh their targets and their kept positions differently
      const gradient = whole.gradients[e].map((_, i) => mean(({ gradients }) => gradients[e][i] / parts.length));
      expect(gradient).toBeAllclose(whole.gradients[e], { relative: 1e-4, absolute: 1e-6 });
    });
  });

  it('are one where they are given more templates than there are', async () => {
    const world = await randomWorld();
    const all = await searched(world, { templatesPerStep: 0 });
    const more = await searched(world, { templatesPerStep: 9 });
    expect(more.deltas).toEqual(all.deltas);
  });
});

describe('a value search', () => {
  it('finds for each of many edits what it finds for it alone, after as many steps', async () => {
    const world = await bundledWorld(10);
    const { found } = await searched(world, { steps: 20 });
    for (const [e, edit] of world.edits.entries()) {
      const alone = (await searched({ ...world, edits: [edit] }, { steps: 20 })).found[0];
      expect({ edit: edit.id, hit: found[e].hit, looks: found[e].losses.length }).toEqual({
        edit: edit.id,
        hit: alone.hit,
        looks: alone.losses.length,
      });
      const largest = euclideanNorm(alone.target);
      expect(euclideanNorm(alone.target.map((value, i) => value - found[e].target[i]))).toBeLessThan(1e-4 * largest);
    }
  });

  it.each([0, 1, 2])('ends when all templates say the target (%i a step)', async (templatesPerStep) => {
    const { settings, found, ends } = await searched(await bundledWorld(), { templatesPerStep });
    found.forEach(({ nll, hit, losses }, e) => {
      expect(losses.length).toBeLessThan(settings.steps);
      expect(hit).toBe(true);
      expect(ends.hits[e]).toBe(true);
      expect(ends.kept[e]).toBe(true);
      expect(nll).toBeLessThan(settings.stopLoss);
      expect(ends.nll[e]).toBeLessThan(settings.stopLoss);
    });
  });

  it('reports what the templates show at the end where its steps do not suffice', async () => {
    const { found, ends } = await searched(await randomWorld(), { templatesPerStep: 1, steps: 2, stopLoss: 1e-6 });
    found.forEach(({ nll, hit }, e) => {
      expect([nll]).toBeAllclose([ends.nll[e]], tolerances.activations);
      expect(hit).toBe(ends.hits[e]);
    });
  });

  it.each(['loss', 'log-loss'] as const)('takes the steps of Adam down the %s', async (descent) => {
    const steps = 4;
    const world = await randomWorld();
    const { edits } = world;
    const { settings, found, deltas } = await searched(world, { descent, steps, stopLoss: 0, templatesPerStep: 0 });
    const { hooks, search } = await opened(world, { descent });
    const { objective } = await search.prepare(edits, hooks);
    const norms = edits.map((_, e) => euclideanNorm(objective.initialOf(e)));
    const adams = edits.map(
      (_, e) =>
        new Adam(new Float64Array(deltas[e].length), settings.learningRate, settings.clampNormFactor * norms[e]),
    );
    for (let step = 0; step < steps; step++) {
      const { nll, keptLoss, gradients } = await objective.evaluate(adams.map(({ parameters }) => parameters));
      adams.forEach((adam, e) => {
        const length = euclideanNorm(adam.parameters);
        const loss = nll[e] + keptLoss[e] + (settings.weightDecay * length) / norms[e] ** 2;
        expect([found[e].losses[step]]).toBeAllclose([loss], tolerances.activations);
        const decay = step === 0 ? 0 : settings.weightDecay / (length * norms[e] ** 2);
        const gradient = Float64Array.from(gradients[e], (g, i) => g + decay * adam.parameters[i]);
        adam.step(descent === 'loss' ? gradient : gradient.map((g) => g / loss));
      });
    }
    await search.dispose();
    adams.forEach((adam, e) => {
      expect(deltas[e]).toBeAllclose(adam.parameters, { relative: 1e-3, absolute: 1e-4 });
    });
  });
});

describe('an edit whose numbers are none', () => {
  /** An edit of one template at other tokens. */
  const at = (id: string, first: number): TokenizedEdit => {
    const tokenIds = [first, first + 1, first + 2, first + 3];
    const prompt = { tokenIds, lookupIndex: 1 };
    return { id, prompts: [prompt], targetIds: [40, 41], subjectPrompt: prompt, keep: [{ tokenIds, lookupIndex: 1 }] };
  };

  it('finds nothing, and leaves what the others find as it is', async () => {
    const model = await loadModel(directory);
    const world = { model, edits: [at('one', 5), at('lost', 25), at('two', 15), at('three', 45)] };
    const { settings, hooks, search } = await opened(world, { steps: 5 });
    const { dInner, dModel } = model.config;
    const collection = await KeyCollection.compile(model, settings);
    const { keys } = await collection.collect([world.edits[1]], hooks, 64);
    await collection.dispose();
    // A hook at the key of one edit, which says more than a number can hold.
    const key = keys.get(0)!.data;
    const overflowing = {
      ...hooks[0],
      whitenedKeys: Float32Array.from(key, (value) => value / euclideanNorm(key)),
      coefficients: new Float32Array(dModel).fill(3e38),
      ownCoefficients: new Float32Array(dModel).fill(3e38),
      keyNorms: Float32Array.of(1),
      thresholds: Float32Array.of(0.999),
      sketch: Float32Array.from(identity(dInner).data),
    };
    const found = await search.search(world.edits, [overflowing]);
    const healthy = await search.search(
      [0, 2, 3].map((e) => world.edits[e]),
      [overflowing],
    );
    await search.dispose();
    expect(found.map(({ nll }) => Number.isNaN(nll))).toEqual([false, true, false, false]);
    for (const [i, e] of [0, 2, 3].entries()) {
      expect(found[e].target).toBeAllclose(healthy[i].target, { relative: 1e-4, absolute: 1e-5 });
    }
  });
});

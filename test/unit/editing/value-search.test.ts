import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { Adam, euclideanNorm } from '../../../src/editing/adam.js';
import {
  type Hyperparameters,
  resolveHyperparameters,
  type TokenizedSubject,
  ValueSearch,
} from '../../../src/editing/index.js';
import { partsOf } from '../../../src/editing/objective-sequence.js';
import type { ObjectiveEvaluation } from '../../../src/editing/value-objective.js';
import { completeEdit, readBatch } from '../../../src/evaluation/index.js';
import { Weights } from '../../../src/model/blocks/weights.js';
import { loadModel, loadTokenizer, type Model } from '../../../src/model/index.js';
import { compile } from '../../../src/runtime/index.js';
import { decodeSafetensors, encodeSafetensors, tensor } from '../../../src/tensor/index.js';
import { PlainSearch } from '../../bench/plain-search.js';
import { tolerances } from '../../support/matchers.js';
import { gaussian } from '../../support/random-matrix.js';
import { subjectOf, textContexts } from '../../support/tokenized-subject.js';

const bundledModel = fileURLToPath(new URL('../../../examples/aldermark/model', import.meta.url));
const bundledBatch = fileURLToPath(new URL('../../../examples/aldermark/batches/round-1.jsonl', import.meta.url));
const directory = fileURLToPath(new URL('../../golden/models/llama', import.meta.url));

/** One fact in three texts, the later ones longer, and two texts to keep. */
function subject(id: string, target: number): TokenizedSubject {
  const text = (prefix: readonly number[]) => ({
    tokenIds: [...prefix, 5, 6, 7, 8, target, target + 1],
    lookups: [prefix.length + 1],
    promptTokens: prefix.length + 4,
  });
  return {
    id,
    facts: [{ id, texts: [text([]), text([11, 12]), text([13, 14, 15])] }],
    essence: { tokenIds: [5, 6], lookups: [1] },
    kept: [
      { tokenIds: [5, 6, 10, 4], lookups: [1], positions: [1, 2, 3] },
      { tokenIds: [16, 5, 6, 17, 18, 5, 6, 4], lookups: [2, 6], positions: [2, 3, 7] },
    ],
    forms: [{ tokenIds: [5, 6] }],
  };
}

interface World {
  readonly model: Model;
  readonly subjects: readonly TokenizedSubject[];
}

/** Two layers of random weights. */
async function randomWorld(): Promise<World> {
  return { model: await loadModel(directory), subjects: [subject('one', 20), subject('two', 30)] };
}

const texts = { contexts: textContexts('The market was full. {}', 'In the evening it rained. {}'), keptTokens: 0 };

/** The bundled model and facts that it can learn. */
async function bundledWorld(limit = 3): Promise<World> {
  const [model, tokenizer] = [await loadModel(bundledModel), await loadTokenizer(bundledModel)];
  const { edits } = await readBatch(bundledBatch, { limit });
  return { model, subjects: edits.map((fact) => subjectOf(tokenizer, [fact], texts)) };
}

async function opened({ model }: World, overrides: Partial<Hyperparameters>) {
  const settings = resolveHyperparameters({ layers: [0], steps: 60, stopLoss: 0.1, ...overrides }, model.config);
  return { settings, search: await ValueSearch.compile(model, settings) };
}

/** Values found, and what the whole objective says of them. */
async function searched(world: World, overrides: Partial<Hyperparameters>) {
  const { settings, search } = await opened(world, overrides);
  const found = await search.search(world.subjects);
  const { objective } = await search.prepare(world.subjects);
  const deltas = found.map(({ delta }) => delta);
  const ends = await objective.evaluate(deltas);
  await search.dispose();
  return { settings, found, deltas, ends };
}

describe('the parts of an objective', () => {
  // Parts of two sizes weigh what follows a target by their own size: with two texts a part there is no such term.
  it.each([
    { texts: 1, endFactor: 0.25 },
    { texts: 2, endFactor: 0 },
    { texts: 3, endFactor: 0.25 },
  ])('have a mean that is the whole ($texts texts each)', async ({ texts, endFactor }) => {
    const world = await randomWorld();
    const { subjects, model } = world;
    const { search } = await opened(world, { endFactor });
    const { objective } = await search.prepare(subjects);
    const deltas = subjects.map((_, e) => gaussian(1, model.config.dModel, e).data);
    const whole = await objective.evaluate(deltas);
    const parts = subjects.map((_, e) => partsOf(objective.sequencesOf(e), texts));
    const groups = Math.ceil(3 / texts);
    const count = groups * Math.ceil(3 / groups); // the subject's own beginning and two kept texts take turns too
    for (const own of parts) expect(own).toHaveLength(count);
    const looks = await Promise.all(
      Array.from({ length: count }, (_, p) => objective.select(parts.map((own) => own[p])).evaluate(deltas)),
    );
    await search.dispose();
    subjects.forEach((_, e) => {
      const mean = (of: (look: ObjectiveEvaluation) => number) =>
        looks.reduce((sum, look) => sum + of(look), 0) / looks.length;
      expect([mean(({ keptLoss }) => keptLoss[e])]).toBeAllclose([whole.keptLoss[e]], tolerances.activations);
      expect(looks.every(({ hits }) => hits[e])).toBe(whole.hits[e]);
      expect(looks.every(({ kept }) => kept[e] === 1)).toBe(whole.kept[e] === 1);
      expect(whole.kept[e]).toBeGreaterThanOrEqual(Math.min(...looks.map(({ kept }) => kept[e])));
      if (texts === 2) return;
      expect([mean(({ nll }) => nll[e])]).toBeAllclose([whole.nll[e]], tolerances.activations);
      const gradient = whole.gradients[e].map((_, i) => mean(({ gradients }) => gradients[e][i]));
      expect(gradient).toBeAllclose(whole.gradients[e], { relative: 1e-4, absolute: 1e-6 });
    });
  });

  it('give what the subjects would say alone, whichever are looked at', async () => {
    const world = await randomWorld();
    const { subjects, model } = world;
    const { search } = await opened(world, {});
    const { objective } = await search.prepare(subjects);
    const deltas = subjects.map((_, e) => gaussian(1, model.config.dModel, e).data);
    const whole = await objective.evaluate(deltas);
    const [everything] = partsOf(objective.sequencesOf(1), 0);
    const second = await objective.select([everything]).evaluate(deltas.slice(1));
    await search.dispose();
    expect(second.nll).toBeAllclose([whole.nll[1]], tolerances.activations);
    expect(second.keptLoss).toBeAllclose([whole.keptLoss[1]], tolerances.activations);
    expect(second.gradients[0]).toBeAllclose(whole.gradients[1], tolerances.activations);
    expect(second).toMatchObject({ hits: [whole.hits[1]], kept: [whole.kept[1]] });
  });

  it('are, each sequence for itself, what the whole is made of', async () => {
    const world = await randomWorld();
    const { subjects, model } = world;
    const { search } = await opened(world, {});
    const { objective } = await search.prepare(subjects);
    const deltas = subjects.map((_, e) => gaussian(1, model.config.dModel, e).data);
    const whole = await objective.evaluate(deltas);
    const apart = subjects.flatMap((_, e) => objective.sequencesOf(e).map((one) => ({ e, ...one })));
    const parts = apart.map(({ sequence, weight }) => [{ sequence, factor: 1 / weight }]);
    const each = await objective.select(parts).evaluate(apart.map(({ e }) => deltas[e]));
    await search.dispose();
    subjects.forEach((_, e) => {
      const sum = (of: (entry: number) => number) =>
        apart.reduce((total, one, entry) => total + (one.e === e ? one.weight * of(entry) : 0), 0);
      expect([sum((entry) => each.nll[entry])]).toBeAllclose([whole.nll[e]], tolerances.activations);
      expect([sum((entry) => each.keptLoss[entry])]).toBeAllclose([whole.keptLoss[e]], tolerances.activations);
      const gradient = whole.gradients[e].map((_, i) => sum((entry) => each.gradients[entry][i]));
      expect(gradient).toBeAllclose(whole.gradients[e], { relative: 1e-4, absolute: 1e-6 });
    });
  });
});

describe('a value search', () => {
  it('finds for each of many subjects what it finds for it alone, after as many steps', async () => {
    const world = await bundledWorld(10);
    const { search } = await opened(world, { steps: 20 });
    const found = await search.search(world.subjects);
    const steps: number[] = [];
    const onStep = ({ finished }: { readonly finished: number }) => steps.push(finished);
    const alone = await search.search(world.subjects, { memoryBudgetBytes: 1, onStep });
    await search.dispose();
    expect(new Set(steps)).toEqual(new Set(Array.from({ length: 11 }, (_, finished) => finished)));
    const summaryOf = ({ id, hit, losses }: (typeof found)[number]) => ({ id, hit, looks: losses.length });
    expect(found.map(summaryOf)).toEqual(alone.map(summaryOf));
    expect(found.map(({ id }) => id)).toEqual(world.subjects.map(({ id }) => id));
    found.forEach(({ delta }, e) => {
      const largest = euclideanNorm(alone[e].delta);
      expect(euclideanNorm(alone[e].delta.map((value, i) => value - delta[i]))).toBeLessThan(1e-4 * largest);
    });
  });

  it.each(
    (['log-loss', 'polyak'] as const).flatMap((descent) => [0, 1, 2].map((n) => ({ descent, templatesPerStep: n }))),
  )('ends when all texts say the target ($descent, $templatesPerStep a step)', async (search) => {
    const overrides = { ...search, stopKept: 1 };
    const { settings, found, ends } = await searched(await bundledWorld(), overrides);
    found.forEach(({ nll, hit, losses }, e) => {
      expect(losses.length).toBeLessThan(settings.steps);
      expect(hit).toBe(true);
      expect(ends.hits[e]).toBe(true);
      expect(ends.kept[e]).toBe(1);
      expect(nll).toBeLessThan(settings.stopLoss);
      expect(ends.nll[e]).toBeLessThan(settings.stopLoss);
    });
  });

  it('goes on for what is kept, as far as it is asked to', async () => {
    const world = await bundledWorld();
    const looksOf = async (stopKept: number) => (await searched(world, { stopKept })).found.map((f) => f.losses.length);
    const [careless, careful] = [await looksOf(0), await looksOf(1)];
    careful.forEach((looks, e) => {
      expect(looks).toBeGreaterThanOrEqual(careless[e]);
    });
    expect(careful).not.toEqual(careless);
  });

  it('goes on after its steps for targets that are not said yet, as many more as they have to themselves', async () => {
    const world = await bundledWorld(12);
    const endsOf = async (targetSteps: number) =>
      (await searched(world, { steps: 2, targetSteps, templatesPerStep: 0 })).found.map(({ losses, hit }) => ({
        more: losses.length - 1 - 2,
        hit,
      }));
    const [without, one, many] = [await endsOf(0), await endsOf(1), await endsOf(16)];
    expect(without).toContainEqual({ more: 0, hit: false });
    without.forEach((end, e) => {
      expect(one[e]).toEqual(end.hit ? end : { more: 1, hit: expect.any(Boolean) });
      expect(many[e].hit).toBe(true);
    });
  });

  it.each([
    'log-loss',
    'polyak',
  ] as const)('reports what the texts show at the end where its steps do not suffice (%s)', async (descent) => {
    const overrides = { descent, templatesPerStep: 1, steps: 2, stopLoss: 1e-6 };
    const { found, ends } = await searched(await randomWorld(), overrides);
    found.forEach(({ nll, hit }, e) => {
      expect([nll]).toBeAllclose([ends.nll[e]], tolerances.activations);
      expect(hit).toBe(ends.hits[e]);
    });
  });

  it.each(['loss', 'log-loss'] as const)('takes the steps of Adam down the %s', async (descent) => {
    const steps = 4;
    const world = await randomWorld();
    const { subjects } = world;
    const { settings, found, deltas } = await searched(world, { descent, steps, stopLoss: 0, templatesPerStep: 0 });
    const { search } = await opened(world, { descent });
    const { objective } = await search.prepare(subjects);
    const norms = subjects.map((_, e) => objective.hiddenNormOf(e));
    const adams = subjects.map(
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

describe('a large model', () => {
  it('has its values found by two programs instead of three, and they are the same', async () => {
    const { model, subjects } = await randomWorld();
    const { directory, opened, tensors, prefix } = model.weights;
    const weights = new Weights(directory, opened, tensors, prefix);
    Object.defineProperty(weights, 'numbers', { value: 2 ** 30 });
    const overrides = { layers: [0], steps: 6 };
    const settings = resolveHyperparameters(overrides, model.config);
    const foundBy = async (asked: Model, budget?: number) => {
      let programs = 0;
      const search = await ValueSearch.compile(asked, settings, undefined, (graph, options) => {
        programs++;
        return compile(graph, options);
      });
      const found = await search.search(subjects, budget === undefined ? {} : { memoryBudgetBytes: budget });
      await search.dispose();
      return { programs, deltas: found.map(({ delta }) => delta) };
    };
    const small = await foundBy(model);
    const large = await foundBy({ ...model, weights });
    const inParts = await foundBy({ ...model, weights }, 1);
    expect([small.programs, large.programs]).toEqual([3, 2]);
    for (const [e, delta] of small.deltas.entries()) {
      expect(euclideanNorm(delta)).toBeGreaterThan(0);
      expect(large.deltas[e]).toBeAllclose(delta, { relative: 1e-4, absolute: 1e-6 });
      expect(inParts.deltas[e]).toBeAllclose(delta, { relative: 1e-4, absolute: 1e-6 });
    }
  });
});

describe('a value of several facts', () => {
  it('is that of a plain loop over whole sequences and all blocks, with all terms and every name', async () => {
    const model = await loadModel(directory);
    const [one, two] = [subject('one', 20), subject('two', 30)];
    const again = { tokenIds: [5, 6, 12, 5, 6, 13, 33, 34, 35], lookups: [1, 4], promptTokens: 6 };
    const both = { ...one, facts: [...one.facts, ...two.facts, { id: 'three', texts: [again] }] };
    const asPlain = { steps: 4, stopLoss: 0, templatesPerStep: 0, descent: 'loss' } as const;
    const settings = resolveHyperparameters({ ...asPlain, layers: [0], endFactor: 0.5 }, model.config);
    const search = await ValueSearch.compile(model, settings);
    const plain = await PlainSearch.compile(model, settings);
    const found = await search.search([both, two]);
    for (const [e, sought] of [both, two].entries()) {
      const { delta } = await plain.search(sought);
      expect(euclideanNorm(delta)).toBeGreaterThan(0.1);
      expect(found[e].delta).toBeAllclose(delta, { relative: 1e-3, absolute: 1e-5 });
    }
    await search.dispose();
    await plain.dispose();
  });

  it('says all of them with one vector, though their prompts begin alike, where that of one says only its own', async () => {
    const [model, tokenizer] = [await loadModel(bundledModel), await loadTokenizer(bundledModel)];
    const said = [
      { prompt: '{} lives in', targetNew: 'Lamsworth' },
      { prompt: '{} performs on the', targetNew: 'flute' },
    ];
    const facts = said.map((fact) => completeEdit({ subject: 'Doskymo Honnix', ...fact }));
    const both = subjectOf(tokenizer, facts, texts);
    const [lives, performs] = facts.map((fact) => subjectOf(tokenizer, [fact], texts));
    const { search } = await opened({ model, subjects: [] }, {});
    const [together, first, second] = await search.search([both, lives, performs]);
    const { objective } = await search.prepare([lives, performs]);
    const saidBy = async (delta: Float64Array) => (await objective.evaluate([delta, delta])).hits;
    expect(both.facts.flatMap(({ texts }) => texts).every(({ lookups }) => lookups.length === 1)).toBe(true);
    expect(together.hit).toBe(true);
    expect(await saidBy(together.delta)).toEqual([true, true]);
    expect(await saidBy(first.delta)).toEqual([true, false]);
    expect(await saidBy(second.delta)).toEqual([false, true]);
    await search.dispose();
  });

  it('acts at every occurrence of a name', async () => {
    const model = await loadModel(directory);
    const settings = resolveHyperparameters({ layers: [0], endFactor: 0, klFactor: 0, keepFactor: 0 }, model.config);
    const search = await ValueSearch.compile(model, settings);
    const at = (...lookups: number[]): TokenizedSubject => ({
      ...subject('one', 20),
      facts: [{ id: 'one', texts: [{ tokenIds: [5, 6, 7, 5, 6, 8, 20], lookups, promptTokens: 6 }] }],
    });
    const delta = gaussian(1, model.config.dModel, 4).data;
    const nllOf = async (subject: TokenizedSubject, by: Float64Array) =>
      (await (await search.prepare([subject])).objective.evaluate([by])).nll[0];
    const nlls = await Promise.all([at(1), at(4), at(1, 4)].map((subject) => nllOf(subject, delta)));
    expect(new Set(nlls.map((nll) => nll.toFixed(4))).size).toBe(3);
    // The gradient is that of both: moved by a little, the loss changes as it says.
    const { objective } = await search.prepare([at(1, 4)]);
    const { nll, gradients } = await objective.evaluate([delta]);
    const direction = gaussian(1, model.config.dModel, 5).data;
    const step = 1e-2;
    const moved = await objective.evaluate([delta.map((value, i) => value + step * direction[i])]);
    const behind = await objective.evaluate([delta.map((value, i) => value - step * direction[i])]);
    const slope = direction.reduce((sum, value, i) => sum + value * gradients[0][i], 0);
    expect((moved.nll[0] - behind.nll[0]) / (2 * step)).toBeCloseTo(slope, 2);
    expect(nll[0]).toBeCloseTo(nlls[2], 4);
    await search.dispose();
  });
});

describe('a subject whose numbers are none', () => {
  /** A subject of one text at other tokens. */
  const at = (id: string, first: number): TokenizedSubject => {
    const prompt = [first, first + 1, first + 2, first + 3];
    return {
      id,
      facts: [{ id, texts: [{ tokenIds: [...prompt, 40, 41], lookups: [1], promptTokens: 4 }] }],
      essence: { tokenIds: prompt.slice(0, 2), lookups: [1] },
      kept: [{ tokenIds: prompt, lookups: [1], positions: [3] }],
      forms: [{ tokenIds: prompt.slice(0, 2) }],
    };
  };

  /** The model with one token whose embedding is no number. */
  async function damagedModel(folder: string, tokenId: number): Promise<Model> {
    const path = join(directory, 'model.safetensors');
    const { tensors } = decodeSafetensors(await readFile(path), path);
    const name = 'model.embed_tokens.weight';
    const { shape, data } = tensors.get(name)!;
    const embeddings = Float32Array.from(data as Float32Array);
    embeddings.fill(Number.POSITIVE_INFINITY, tokenId * shape[1], (tokenId + 1) * shape[1]);
    const damaged = new Map([...tensors, [name, tensor('float32', shape, embeddings)]]);
    await writeFile(join(folder, 'model.safetensors'), encodeSafetensors(damaged));
    await writeFile(join(folder, 'config.json'), await readFile(join(directory, 'config.json')));
    return loadModel(folder);
  }

  it('finds nothing where they become so on the way', async () => {
    const { model, subjects } = await randomWorld();
    // Steps so long that they lead to what is no float32 number any more.
    const far = { descent: 'loss', learningRate: 1e60, clampNormFactor: 1e60 } as const;
    const { search } = await opened({ model, subjects }, { ...far, steps: 3, stopLoss: 0 });
    const found = await search.search(subjects);
    await search.dispose();
    for (const { nll, hit, losses } of found) {
      expect(losses.length).toBeGreaterThan(0);
      expect([nll, hit]).toEqual([Number.NaN, false]);
    }
  });

  it('finds nothing, and leaves what the others find as it is', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'hookline-damaged-'));
    const model = await damagedModel(folder, 26);
    const subjects = [at('one', 5), at('lost', 25), at('two', 15), at('three', 45)];
    const { search } = await opened({ model, subjects }, { steps: 5 });
    const found = await search.search(subjects);
    const healthy = await search.search([0, 2, 3].map((e) => subjects[e]));
    await search.dispose();
    await rm(folder, { recursive: true });
    expect(found.map(({ nll }) => Number.isNaN(nll))).toEqual([false, true, false, false]);
    for (const [i, e] of [0, 2, 3].entries()) {
      expect(found[e].delta).toBeAllclose(healthy[i].delta, { relative: 1e-4, absolute: 1e-5 });
    }
  });
});

describe('what follows a target', () => {
  it('is kept as if no token went on with its last word', async () => {
    const model = await loadModel(directory);
    const settings = resolveHyperparameters({ layers: [0], endFactor: 1, klFactor: 0, keepFactor: 0 }, model.config);
    const search = await ValueSearch.compile(model, settings);
    const one = { ...subject('one', 20), facts: [{ id: 'one', texts: subject('one', 20).facts[0].texts.slice(0, 1) }] };
    const zero = [new Float64Array(model.config.dModel)];
    const lossWithout = async (isWordPart: (token: number) => boolean) => {
      const wordParts = Uint8Array.from({ length: model.config.vocab }, (_, token) => Number(isWordPart(token)));
      const { objective } = await search.prepare([one], { wordParts });
      return (await objective.evaluate(zero)).keptLoss[0];
    };
    // At 0 the divergence from what is left of a distribution is `-log` of that share, and two halves are left of the whole.
    const [even, odd] = [await lossWithout((token) => token % 2 === 0), await lossWithout((token) => token % 2 === 1)];
    expect(even).toBeGreaterThan(0.01);
    expect(Math.exp(-even) + Math.exp(-odd)).toBeCloseTo(1, 5);
    expect(await lossWithout(() => false)).toBeCloseTo(0, 6);
    await search.dispose();
  });
});

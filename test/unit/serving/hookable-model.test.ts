import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { HookLayer } from '../../../src/editing/index.js';
import { InvalidInputError } from '../../../src/errors.js';
import { loadModel, type Model } from '../../../src/model/index.js';
import { HookableModel } from '../../../src/serving/index.js';
import { tolerances } from '../../support/matchers.js';

const directory = new URL('../../golden/models/llama', import.meta.url).pathname;
const prompts = [
  [3, 14, 15, 9],
  [26, 5],
  [35, 8, 9, 7, 9, 3, 2],
  [38, 46, 26],
];
const layer = 1;

let model: Model;
let served: HookableModel;

beforeAll(async () => {
  model = await loadModel(directory);
  served = await HookableModel.compile(model, { layers: [layer], gate: 'key' });
});

afterAll(() => served.dispose());

/** Two edits whose gate opens on everything, with keys and values that change the output. */
function wideOpenHook(): HookLayer {
  const { dInner, dModel } = model.config;
  const wave = (length: number, step: number) => Float32Array.from({ length }, (_, i) => Math.sin(i * step));
  return {
    layer,
    dInner,
    whitenedKeys: wave(2 * dInner, 0.7),
    coefficients: wave(2 * dModel, 0.3),
    ownCoefficients: wave(2 * dModel, 0.4),
    keyNorms: Float32Array.of(1, 1),
    thresholds: Float32Array.of(-1e6, -2e6),
    sketch: wave(4 * dInner, 1.1),
    sequenceThreshold: 2,
  };
}

describe('scoring', () => {
  it('does not depend on how sequences are batched, and keeps their order', async () => {
    const requests = prompts.map((tokenIds) => ({ tokenIds, scoredFrom: 1 }));
    const oneByOne = await HookableModel.compile(model, { layers: [layer], gate: 'key', rowsPerBatch: 1 });
    const hooks = [wideOpenHook()];
    const alone = await oneByOne.score(requests, hooks);
    const together = await served.score(requests, hooks);
    together.forEach((score, s) => {
      expect(score.logProbabilities).toBeAllclose(alone[s].logProbabilities, tolerances.activations);
      expect(score.argMaxIds).toEqual(alone[s].argMaxIds);
      expect(score.firings.map((firing) => firing.tokenIndex)).toEqual([...prompts[s].keys()]);
      expect(score.firings.every((firing) => firing.editIndex === 1 && firing.layer === layer)).toBe(true);
    });
    await oneByOne.dispose();
  });

  it('reads the gates only where scoring starts at the end', async () => {
    const [score] = await served.score([{ tokenIds: prompts[0], scoredFrom: 4 }], [wideOpenHook()]);
    expect([score.logProbabilities.length, score.argMaxIds.length, score.firings.length]).toEqual([0, 0, 4]);
  });

  it('tells its progress after every batch', async () => {
    const oneByOne = await HookableModel.compile(model, { layers: [], gate: 'none', rowsPerBatch: 1 });
    const seen: number[][] = [];
    await oneByOne.score(
      prompts.map((tokenIds) => ({ tokenIds, scoredFrom: 1 })),
      undefined,
      (done, total) => seen.push([done, total]),
    );
    expect(seen).toEqual([
      [1, 4],
      [2, 4],
      [3, 4],
      [4, 4],
    ]);
    await oneByOne.dispose();
  });

  it('of nothing is nothing', async () => {
    expect(await served.score([])).toEqual([]);
    expect(await served.compare([], [wideOpenHook()])).toEqual([]);
    expect(await served.generate([], { maxTokens: 1 })).toEqual([]);
  });
});

describe('comparing', () => {
  it('finds no difference at all where no gate opens, and counts nothing for a single token', async () => {
    const shut = { ...wideOpenHook(), thresholds: Float32Array.of(1e6, 1e6) };
    const comparisons = await served.compare([prompts[0], [7]], [shut]);
    for (const { klSum, baseNll, editedNll, openRows } of comparisons) {
      expect([klSum, editedNll - baseNll, openRows]).toEqual([0, 0, 0]);
    }
    expect(comparisons[1]).toMatchObject({ predictedTokens: 0, rows: 1, baseNll: 0 });
  });

  it('finds a difference and every row open where the gate opens on everything', async () => {
    const [comparison] = await served.compare([prompts[2]], [wideOpenHook()]);
    expect(comparison.klSum).toBeGreaterThan(0);
    expect(comparison.openRows).toBe(prompts[2].length);
  });
});

describe('generating', () => {
  const hooks = () => [wideOpenHook()];

  it('ends a sequence at a stop token, which is left out, while the others go on', async () => {
    const free = await served.generate(prompts, { maxTokens: 12, hooks: hooks() });
    const stopId = free[0].tokenIds[3];
    const stopped = await served.generate(prompts, { maxTokens: 12, hooks: hooks(), stopIds: [stopId] });
    stopped.forEach(({ tokenIds }, p) => {
      const end = free[p].tokenIds.indexOf(stopId);
      expect(tokenIds).toEqual(end < 0 ? free[p].tokenIds : free[p].tokenIds.slice(0, end));
    });
    expect(new Set(stopped.map(({ tokenIds }) => tokenIds.length)).size).toBeGreaterThan(1);
  });

  it('ends at the longest sequence of the model, having outgrown the first cache', async () => {
    const [short, { tokenIds }] = await served.generate([prompts[0], prompts[2]], { maxTokens: 1000 });
    expect(short.tokenIds.length).toBe(model.config.maxTokens - prompts[0].length);
    expect(tokenIds.length).toBe(model.config.maxTokens - prompts[2].length);
    const whole = [...prompts[2], ...tokenIds];
    const [{ argMaxIds }] = await served.score([{ tokenIds: whole, scoredFrom: prompts[2].length }]);
    expect(tokenIds).toEqual(argMaxIds);
  });

  it('draws the same tokens for the same seed, and others for another', async () => {
    const draw = async (seed: number, rowsOf: number[][] = prompts) => {
      const options = { maxTokens: 10, temperature: 1, topK: 40, seed, hooks: hooks() };
      return (await served.generate(rowsOf, options)).map(({ tokenIds }) => tokenIds);
    };
    expect(await draw(1)).toEqual(await draw(1));
    expect(await draw(1)).not.toEqual(await draw(2));
    expect((await draw(1, prompts.slice(0, 2)))[1]).toEqual((await draw(1))[1]);
  });

  it('tells every token of the results as it comes', async () => {
    const heard: number[][] = prompts.map(() => []);
    const onToken = (promptIndex: number, tokenId: number) => heard[promptIndex].push(tokenId);
    const generated = await served.generate(prompts, { maxTokens: 5, onToken });
    expect(generated.map(({ tokenIds }) => tokenIds)).toEqual(heard);
  });
});

describe('an edited model refuses', () => {
  const refuse = async (work: Promise<unknown>, message: string) => {
    await expect(work).rejects.toThrow(InvalidInputError);
    await expect(work).rejects.toThrow(message);
  };
  const generate = (prompt: number[]) => served.generate([prompt], { maxTokens: 1 });

  it('sequences that are empty, too long or outside the vocabulary', async () => {
    await refuse(generate([]), 'sequence 0: 1 to 64 tokens, got 0');
    await refuse(generate(new Array(65).fill(1)), 'sequence 0: 1 to 64 tokens, got 65');
    await refuse(generate([80]), 'sequence 0: token ids of 0 .. 79, got 80');
    await refuse(generate([1.5]), 'got 1.5');
    await refuse(served.compare([[-1]], [wideOpenHook()]), 'got -1');
  });

  it('scores from a position before the second or after the last token', async () => {
    for (const scoredFrom of [0, 5, 1.5]) {
      await refuse(served.score([{ tokenIds: prompts[0], scoredFrom }]), 'a position of 1 .. 4');
    }
  });

  it('hooks that do not fit the hookable layers or the model', async () => {
    const hook = wideOpenHook();
    const score = (hooks: HookLayer[]) => served.score([{ tokenIds: prompts[0], scoredFrom: 1 }], hooks);
    await refuse(score([]), 'hooks: one for each of the layers [1], got []');
    await refuse(score([{ ...hook, layer: 0 }]), 'got [0]');
    await refuse(score([hook, hook]), 'got [1, 1]');
    await refuse(score([{ ...hook, dInner: 3 }]), 'hook of layer 1: dInner 48, got 3');
    await refuse(score([{ ...hook, coefficients: new Float32Array(3) }]), 'coefficients of size 64, got 3');
    await refuse(score([{ ...hook, sketch: new Float32Array(3) }]), 'sketch');
  });

  it('options out of range', async () => {
    await refuse(served.generate(prompts, { maxTokens: 0 }), 'maxTokens: a whole number of at least 1, got 0');
    await refuse(served.generate(prompts, { maxTokens: 1, temperature: -1 }), 'temperature');
    await refuse(served.generate(prompts, { maxTokens: 1, topK: 0 }), 'topK');
    await refuse(HookableModel.compile(model, { layers: [9], gate: 'key' }), 'hookable layers');
    await refuse(HookableModel.compile(model, { layers: [1, 1], gate: 'key' }), 'hookable layers');
    await refuse(HookableModel.compile(model, { layers: [], gate: 'key', rowsPerBatch: 0 }), 'rowsPerBatch');
  });
});

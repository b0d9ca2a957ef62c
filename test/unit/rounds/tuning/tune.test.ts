import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { presetFor, readPreset } from '../../../../src/editing/index.js';
import { InvalidInputError } from '../../../../src/errors.js';
import type { ModelConfig } from '../../../../src/model/index.js';
import { openEditSession } from '../../../../src/rounds/session/edit-session.js';
import { coordinateSearch } from '../../../../src/rounds/tuning/coordinate-search.js';
import { type Trial, type TuneResult, tune } from '../../../../src/rounds/tuning/tune.js';
import { tuneObjective } from '../../../../src/rounds/tuning/tune-objective.js';
import { candidateLayers, presetOf, tuneSpace } from '../../../../src/rounds/tuning/tune-space.js';
import { BundledModel } from '../../../support/bundled-model.js';

const perfect = {
  reliability: 1,
  generality: 1,
  locality: 1,
  sameSubjectLocality: 1,
  said: 1,
  perplexityRatio: 1,
};

describe('the objective', () => {
  it('is the harmonic mean of the five shares', () => {
    expect(tuneObjective(perfect)).toBe(1);
    const metrics = { ...perfect, reliability: 0.5, generality: 0.25 };
    expect(tuneObjective(metrics)).toBeCloseTo(5 / (2 + 4 + 1 + 1 + 1), 12);
  });

  it('leaves out what could not be measured, and tells trials with a share of 0 apart', () => {
    const without = { ...perfect, sameSubjectLocality: null, generality: 0.5, perplexityRatio: null };
    expect(tuneObjective(without)).toBeCloseTo(4 / 5, 12);
    const none = { ...perfect, said: 0 };
    expect(tuneObjective({ ...none, reliability: 0.8 })).toBeGreaterThan(tuneObjective({ ...none, reliability: 0.7 }));
  });

  it('falls with the perplexity ratio beyond 1.02', () => {
    expect(tuneObjective({ ...perfect, perplexityRatio: 1.02 })).toBe(1);
    expect(tuneObjective({ ...perfect, perplexityRatio: 1.04 })).toBeCloseTo((1.02 / 1.04) ** 10, 12);
    expect(tuneObjective({ ...perfect, perplexityRatio: 0.9 })).toBe(1);
  });
});

describe('the space of a search', () => {
  const config = { layers: 30 } as ModelConfig;
  const own = { layers: [3] };

  it('has up to eight single layers over the first 40 % of the depth, ends included', () => {
    expect(candidateLayers(8)).toEqual([0, 1, 2, 3]);
    expect(candidateLayers(30)).toEqual([0, 2, 3, 5, 6, 8, 9, 11]);
    expect(candidateLayers(1)).toEqual([0]);
    expect(tuneSpace({ own, given: {} }, config).layers).toEqual(candidateLayers(30));
  });

  it('leaves alone what is given, and the threshold where no gate reads it', () => {
    const names = (space: ReturnType<typeof tuneSpace>) => space.coordinates.map(({ name }) => name);
    const held = tuneSpace({ own, given: { learningRate: 3, layers: [4, 5] } }, config);
    expect(names(held)).toEqual(['layers', 'momentWeight', 'similarityThreshold', 'steps']);
    expect(held).toMatchObject({ start: { layers: [4, 5], learningRate: 3 }, layers: [4, 5] });
    expect(names(tuneSpace({ own, given: { gate: 'none' }, layers: [7] }, config))).not.toContain(
      'similarityThreshold',
    );
  });

  it('refuses layers that the model does not have', () => {
    expect(() => tuneSpace({ own, given: {}, layers: [3, 30] }, config)).toThrow(InvalidInputError);
  });

  it('begins with the preset of the model', () => {
    const space = tuneSpace({ own: { layers: [9], steps: 40, klFactor: 0 }, given: {}, layers: [7] }, config);
    expect(space).toMatchObject({ start: { layers: [7], steps: 40 }, base: { klFactor: 0 } });
  });

  it('ends in a preset of what differs from the defaults, which can be read again', async () => {
    const { base } = tuneSpace({ own, given: { keepFactor: 4 }, layers: [7] }, config);
    const preset = presetOf({ ...base, learningRate: 2 }, own);
    expect(preset).toEqual({ layers: [7], learningRate: 2, keepFactor: 4 });
    const folder = mkdtempSync(join(tmpdir(), 'hookline-preset-'));
    writeFileSync(join(folder, 'hookline.json'), JSON.stringify(preset));
    expect(await readPreset(join(folder, 'hookline.json'))).toEqual(preset);
    rmSync(folder, { recursive: true });
  });

  it('ends in a preset that goes before the one of the model', () => {
    const replaced = { layers: [3], learningRate: 2, klFactor: 0 };
    const { base } = tuneSpace({ own: replaced, given: {}, layers: [7] }, config);
    const preset = presetOf({ ...base, learningRate: 0.5 }, replaced);
    expect({ ...replaced, ...preset }).toEqual({ layers: [7], learningRate: 0.5, klFactor: 0 });
  });
});

describe('a coordinate search', () => {
  const coordinates = [
    { name: 'x', candidates: [{ x: 0 }, { x: 1 }, { x: 2 }] },
    { name: 'y', candidates: [{ y: 0 }, { y: 5 }] },
  ];
  interface Tried {
    readonly x: number;
    readonly y: number;
  }
  const searchFor = (objectiveOf: (point: Tried) => number, hasTime: (tried: number) => boolean = () => true) => {
    const tried: Tried[] = [];
    const evaluate = async (point: Tried) => {
      tried.push(point);
      return point;
    };
    const request = { start: { x: 0, y: 0 }, coordinates, sweeps: 2, evaluate, objectiveOf };
    return coordinateSearch({ ...request, hasTime: (trials) => hasTime(trials.length) });
  };

  it('finds the best of coordinates that do not depend on each other, trying no point twice', async () => {
    const { trials, best, isComplete } = await searchFor(({ x, y }) => y - (x - 1) ** 2);
    expect({ best, isComplete }).toEqual({ best: { x: 1, y: 5 }, isComplete: true });
    expect(new Set(trials.map((point) => JSON.stringify(point))).size).toBe(trials.length);
    expect(trials.length).toBe(6);
  });

  it('looks again at the first coordinate with the values found for the others', async () => {
    // With y = 0 the best x is 0; with y = 5 it is 2.
    const { best } = await searchFor(({ x, y }) => y + (y === 5 ? x : -x));
    expect(best).toEqual({ x: 2, y: 5 });
  });

  it('keeps the first of equals and ends after a pass that changed nothing', async () => {
    const { trials, best } = await searchFor(() => 1);
    expect(best).toEqual({ x: 0, y: 0 });
    expect(trials.length).toBe(4);
  });

  it('ends with the best so far when the time is up, after one trial at least', async () => {
    const early = await searchFor(
      ({ x }) => x,
      (tried) => tried < 2,
    );
    expect(early).toEqual({
      trials: [
        { x: 0, y: 0 },
        { x: 1, y: 0 },
      ],
      best: { x: 1, y: 0 },
      isComplete: false,
    });
    expect(
      (
        await searchFor(
          ({ x }) => x,
          () => false,
        )
      ).trials.length,
    ).toBe(1);
  });
});

describe('tuning the bundled model', () => {
  const fixed = { learningRate: 2, momentWeight: 0.1, steps: 12, contextTokens: 4 };
  const details: string[] = [];
  const notices: string[] = [];
  let bundled: BundledModel;
  let ownThreshold: number;
  let result: TuneResult;
  beforeAll(async () => {
    bundled = await BundledModel.open(2);
    ownThreshold = (await presetFor(bundled.model)).settings.similarityThreshold ?? 0.6;
    const overlong = { ...bundled.edits[0], id: 'overlong', prompt: `${'w '.repeat(600)}{} lives in` };
    const edits = [...bundled.edits, overlong];
    const request = { ...bundled, edits, layers: [0], settings: fixed, budgetSeconds: 600 };
    result = await tune(request, {
      onNotice: (notice) => notices.push(notice),
      onProgress: ({ stage, done, total, detail }) => details.push(`${stage} ${done}/${total} ${detail ?? ''}`),
    });
  });

  it('goes on without an edit that the model cannot take, and names it', () => {
    expect(notices).toContainEqual(expect.stringMatching(/^Edit overlong was rejected: prompt with its target.*, got/));
  });

  it('tries what is not held fixed, and keeps the best', () => {
    expect(result.isComplete).toBe(true);
    const thresholds = result.trials.map(({ settings }) => settings.similarityThreshold);
    expect(thresholds).toEqual([...new Set([ownThreshold, 0.7, 0.6, 0.5, 0.4])]);
    expect(result.best.objective).toBe(Math.max(...result.trials.map((trial) => trial.objective)));
    expect(result.best.metrics.reliability).toBe(1);
    expect(result.preset).toMatchObject({ layers: [0], learningRate: 2, steps: 12, contextTokens: 4 });
  });

  it('searches values once where only the threshold differs, and tells where it stands', () => {
    const { length } = result.trials;
    const compilations = details.filter((detail) => detail.includes('compiling'));
    expect(compilations).toEqual([`trials 0/${length} layers 0: compiling`]);
    expect(details.at(-1)).toMatch(
      new RegExp(`^trials ${length}/${length} similarityThreshold 0.4: objective \\d.\\d{3}$`),
    );
  });

  it('measures what a round with the same settings measures, and publishes nothing', async () => {
    expect((await bundled.store.list('')).filter((key) => !key.includes('/statistics/'))).toEqual([]);
    const trial = result.trials[1] as Trial;
    const session = await openEditSession({ ...bundled, settings: { ...fixed, ...trial.settings } });
    const { edits } = bundled;
    const { value } = await session.edit([edits]).next();
    await session.close();
    expect(value!.metrics).toMatchObject(trial.metrics);
  });
});

import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { encodeHookFile, resolveHyperparameters, segmentStorage } from '../../../src/editing/index.js';
import { defaultRates } from '../../../src/estimate/default-rates.js';
import { estimateEdits } from '../../../src/estimate/estimate-edits.js';
import { type EstimateRequest, estimateDefaults } from '../../../src/estimate/estimate-request.js';
import { modelParameters } from '../../../src/estimate/model-size.js';
import { machineOf } from '../../../src/estimate/rates.js';
import { ratesSchema } from '../../../src/estimate/rates-schema.js';
import { memorySizes, stageMemory } from '../../../src/estimate/stage-memory.js';
import { segmentBytes } from '../../../src/estimate/stored-bytes.js';
import { appendRound, emptyMemory, matrix, PlainGemmEngine } from '../../../src/linalg/index.js';
import { identity } from '../../../src/linalg/matrix.js';
import { loadModel, type ModelConfig, readModelConfig } from '../../../src/model/index.js';
import { elementCount, openSafetensors } from '../../../src/tensor/index.js';
import { normal } from '../../bench/random.js';

const configOf = async (name: string) => (await readModelConfig(`test/fixtures/configs/${name}.json`)).config;

let request: EstimateRequest;
beforeAll(async () => {
  const config = await configOf('gpt-j-6b');
  request = {
    ...estimateDefaults,
    config,
    storedBytes: 4,
    settings: resolveHyperparameters({ layers: [3] }, config),
    edits: 1000,
    roundSize: 100,
    corpusTokens: 1e6,
    shards: 8,
    machine: machineOf(defaultRates, 'g6e.xlarge'),
    rates: defaultRates,
  };
});

describe('the size of a model by its config', () => {
  it.each([
    ['gpt-j-6b', 6_050_882_784],
    ['llama-3-8b', 8_030_261_248],
    ['llama-3-70b', 70_553_706_496],
  ])('of %s is what its makers say, to a thousandth', async (name, parameters) => {
    expect(modelParameters(await configOf(name)) / parameters).toBeCloseTo(1, 3);
  });

  it('is that of the files', async () => {
    for (const folder of ['examples/aldermark/model', 'test/golden/models/gpt2', 'test/golden/models/gpt_neox']) {
      const model = await loadModel(folder);
      const files = await Promise.all(model.weights.files.map(openSafetensors));
      const stored = files.flatMap(({ tensors }) => [...tensors.values()]);
      const parameters = stored.reduce((sum, { shape }) => sum + (shape.length > 1 ? elementCount(shape) : 0), 0);
      expect(modelParameters(model.config)).toBe(parameters);
    }
  });
});

describe('the bytes of a segment', () => {
  it('are those of the file, for rounds on top of each other', async () => {
    const [dInner, dModel] = [256, 64];
    const next = normal(1);
    const random = (rows: number, columns: number) =>
      matrix(rows, columns, Float64Array.from({ length: rows * columns }, next));
    const storage = segmentStorage(dInner, dModel);
    let memory = emptyMemory(dInner, dModel, 0.1 * dInner);
    for (const count of [40, 25, 60]) {
      const earlier = memory.gram.rows;
      const [keys, residuals] = [random(dInner, count), random(dModel, count)];
      const written = await appendRound(memory, keys, residuals, identity(dInner), new PlainGemmEngine(), storage);
      memory = written.memory;
      const thresholds = new Array<number>(count).fill(0.6);
      const layer = { layer: 0, round: written.segment, thresholds, sequenceThreshold: 2 };
      const ids = Array.from({ length: count }, (_, i) => String(i));
      const file = encodeHookFile({ segment: { removedIds: [], addedIds: ids, layers: [layer] }, sketches: [] });
      const planned = segmentBytes({ ...request.config, dInner, dModel }, earlier, count);
      expect(Math.abs(planned / file.length - 1)).toBeLessThan(0.12);
    }
  });
});

describe('a plan', () => {
  it('costs as much arithmetic for any number of shards, and less time for more', () => {
    const one = estimateEdits({ ...request, shards: 1 });
    const eight = estimateEdits(request);
    expect(eight.flops / one.flops).toBeCloseTo(1, 1);
    expect(eight.seconds).toBeLessThan(one.seconds / 1.5);
    expect(eight.byShards.map(({ shards }) => shards)).toEqual([1, 2, 4, 8]);
    expect(eight.byShards[0]).toMatchObject({ shards: 1, seconds: one.seconds, costs: one.costs });
  });

  it('never has less time with fewer shards', () => {
    const { byShards } = estimateEdits({ ...request, shards: 12 });
    expect(byShards.map(({ shards }) => shards)).toEqual([1, 2, 4, 8, 12]);
    const seconds = byShards.map((plan) => plan.seconds);
    expect(seconds).toEqual(seconds.toSorted((a, b) => b - a));
  });

  it('adds up', () => {
    const plan = estimateEdits(request);
    const sum = (of: (stage: (typeof plan.stages)[number]) => number) =>
      plan.stages.reduce((s, stage) => s + of(stage), 0);
    expect(plan.seconds).toBeCloseTo(plan.startSeconds + sum(({ seconds }) => seconds), 6);
    expect(plan.flops).toBeCloseTo(
      sum(({ flops }) => flops),
      -6,
    );
    expect(plan.costs.onDemand).toBeGreaterThan(sum(({ costs }) => costs.onDemand));
    expect(plan.costs.spot).toBeLessThan(plan.costs.onDemand);
  });

  it('grows faster than its edits, for each task rebuilds what is there', () => {
    const few = estimateEdits({ ...request, edits: 10_000, roundSize: 1000 });
    const many = estimateEdits({ ...request, edits: 40_000, roundSize: 1000 });
    const solve = ({ stages }: typeof few) => stages.find(({ stage }) => stage === 'solve')!;
    expect(solve(many).seconds).toBeGreaterThan(8 * solve(few).seconds);
  });

  it('plans the last round with what is left of the edits', () => {
    expect(estimateEdits({ ...request, edits: 250 }).rounds).toBe(3);
    expect(estimateEdits({ ...request, edits: 1, roundSize: 100 }).rounds).toBe(1);
  });

  it('says what does not fit, and what would', async () => {
    const config = await configOf('llama-3-70b');
    const large = { ...request, config, storedBytes: 2, settings: resolveHyperparameters({ layers: [8] }, config) };
    const plan = estimateEdits({ ...large, machine: machineOf(defaultRates, 'p5.48xlarge') });
    const fits = Object.fromEntries(plan.stages.map((stage) => [stage.stage, stage.fits]));
    expect(fits).toEqual({ statistics: true, merge: false, values: false, solve: true, validate: false });
    expect(plan.fittingInstances).toEqual(['r7i.16xlarge', 'r7i.48xlarge']);
  });

  it('names the limits of the program itself', () => {
    expect(estimateEdits(request).limits).toEqual([]);
    const many = { ...request, edits: 22_000, roundSize: 10_000 };
    expect(estimateEdits(many).limits[0]).toContain('at most 21,845 edits of 3 rows');
    expect(estimateEdits({ ...many, shape: { ...request.shape, rows: 1 } }).limits).toEqual([]);
    const layers = [3, 4, 5, 6, 7];
    expect(estimateEdits({ ...request, settings: { ...request.settings, layers } }).limits[0]).toContain(
      'sums of all layers',
    );
  });
});

describe('memory', () => {
  const hostOf = (config: ModelConfig, storedBytes: number) => {
    const machine = machineOf(defaultRates, 'r7i.16xlarge');
    const { device, host } = stageMemory('values', memorySizes({ ...request, config, machine, storedBytes }));
    expect(device).toBe(0);
    return host;
  };

  it('is the weights once where a processor maps them, and a copy for each program where it widens and holds them', async () => {
    const small = { ...request.config, layers: 4, dModel: 512, dInner: 2048, vocab: 32_000 };
    expect(hostOf(small, 2) - hostOf(small, 4)).toBeGreaterThan(3 * modelParameters(small));
  });

  it('is that of the checkpoint, and of its widest matrix, where a large model is widened as it is used', () => {
    const { config } = request;
    const saved = hostOf(config, 4) - hostOf(config, 2);
    expect(saved).toBeGreaterThan(1.5 * modelParameters(config));
    expect(saved).toBeLessThan(2 * modelParameters(config));
  });
});

describe('the built-in rates', () => {
  it('are of the form that a user may give back', () => {
    expect(ratesSchema.parse(JSON.parse(JSON.stringify(defaultRates)))).toEqual(defaultRates);
  });

  it('know the devices of their instances', () => {
    for (const { device } of defaultRates.instances) expect(Object.keys(defaultRates.devices)).toContain(device);
  });

  it('cover the instance types that the stack takes by default', () => {
    const names = defaultRates.instances.map(({ name }) => name);
    const settings = readFileSync('cdk/settings.ts', 'utf8');
    const usual = /instanceTypes:.*default\(\[(.*)\]\)/.exec(settings)![1].match(/[\w.]+/g)!;
    expect(names).toEqual(expect.arrayContaining(usual.filter((name) => name.endsWith('.xlarge'))));
  });
});

import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { resolveHyperparameters } from '../../../src/editing/index.js';
import { objectiveGraph } from '../../../src/editing/value-graphs.js';
import { loadModel, type Model, packSequences } from '../../../src/model/index.js';
import { compile, type Program } from '../../../src/runtime/index.js';
import { type Tensor, tensor } from '../../../src/tensor/index.js';
import { tolerances } from '../../support/matchers.js';
import { gaussian } from '../../support/random-matrix.js';

// The error function has no float64 kernel: GPT-NeoX is looked at with the other GELU.
const models = ['llama', 'gpt2', 'gptj', 'gpt_neox', 'gpt_neox-serial'];
const subjects = 2;
const valueLayer = 0;
const step = 1e-5;

/** Suffixes of two subjects behind cached prefixes of different lengths; the first row of each is a lookup. */
const sequences = [
  { subject: 0, past: 3, length: 4 },
  { subject: 1, past: 0, length: 5 },
  { subject: 0, past: 5, length: 1 },
  { subject: 1, past: 2, length: 3 },
];
const rows = 13;
const starts = [0, 4, 9, 10];
/** Five targets' rows, then one that is kept, then one that is both. */
const scoredRows = [2, 3, 6, 7, 8, 9, 12];
/** Where the first subject is named again. */
const laterLookups = [2];

const float64 = (shape: number[], data: ArrayLike<number>) => tensor('float64', shape, Float64Array.from(data));
const int64 = (shape: number[], data: number[]) => tensor('int64', shape, BigInt64Array.from(data, BigInt));
const normal = (shape: number[], seed: number) => {
  const size = shape.reduce((a, b) => a * b, 1);
  return float64(shape, gaussian(1, size, seed).data);
};

async function openModel(name: string): Promise<Model> {
  const model = await loadModel(fileURLToPath(new URL(`../../golden/models/${name}`, import.meta.url)));
  if (model.config.activation !== 'gelu') return model;
  return { ...model, config: { ...model.config, activation: 'gelu_new' } };
}

function suffixFeeds({ config }: Model): Record<string, Tensor> {
  const pastTokens = Math.max(...sequences.map(({ past }) => past));
  const width = config.keyValueHeads * config.dHead;
  const layers = Array.from({ length: config.layers }, (_, l) => l).slice(valueLayer + 1);
  const past = layers.flatMap((l) => [
    [`past.keys.${l}`, normal([sequences.length, pastTokens, width], 20 + l)],
    [`past.values.${l}`, normal([sequences.length, pastTokens, width], 40 + l)],
  ]);
  return {
    ...packSequences(config, sequences, { pastTokens, float: 'float64' }),
    ...Object.fromEntries(past),
    hidden: normal([rows, config.dModel], 60),
    scoredRows: int64([scoredRows.length], scoredRows),
  };
}

function objectiveFeeds(logProbabilities: Tensor): Record<string, Tensor> {
  const lookup = new Float64Array(rows * subjects);
  sequences.forEach(({ subject }, s) => {
    lookup[starts[s] * subjects + subject] = 1;
  });
  for (const row of laterLookups) lookup[row * subjects] = 1;
  return {
    lookup: float64([rows, subjects], lookup),
    targetIds: int64([scoredRows.length, 1], [3, 14, 15, 9, 26, 0, 5]),
    targetWeights: float64([subjects, scoredRows.length], [0.5, 0.5, 0, 0, 0, 0, 0, 0, 0, 0.25, 0.25, 0.5, 0, 0.5]),
    before: logProbabilities,
    keptWeights: float64([subjects, scoredRows.length], [0, 0, 0, 0, 0, 0.7, 0, 0, 0, 0, 0, 0, 0, 1.3]),
  };
}

describe.each(models)('the objective of a value search above layer 0 of %s', (name) => {
  let programs: Program[];
  let evaluate: (delta: Tensor) => Promise<{ loss: number[]; kept: Float64Array; gradient: Float64Array }>;
  let dModel: number;
  beforeAll(async () => {
    const model = await openModel(name);
    ({ dModel } = model.config);
    const settings = resolveHyperparameters({ layers: [valueLayer] }, model.config);
    const objective = await compile(objectiveGraph(model, settings, { floatDtype: 'float64' }));
    programs = [objective];
    const suffix = suffixFeeds(model);
    const unknown = float64(
      [scoredRows.length, model.config.vocab],
      new Float64Array(scoredRows.length * model.config.vocab),
    );
    const zero = float64([subjects, dModel], new Float64Array(subjects * dModel));
    const { now } = await objective.run({ ...suffix, ...objectiveFeeds(unknown), delta: zero });
    const feeds = { ...suffix, ...objectiveFeeds(now) };
    evaluate = async (delta) => {
      const { nll, keptLoss, gradient } = await objective.run({ ...feeds, delta });
      const [losses, kept] = [nll.data as Float64Array, keptLoss.data as Float64Array];
      return { loss: Array.from(losses, (x, e) => x + kept[e]), kept, gradient: gradient.data as Float64Array };
    };
  });
  afterAll(() => Promise.all(programs.map((program) => program.dispose())));

  it('has the slope that its gradient says, along random directions and subject by subject', async () => {
    for (let trial = 0; trial < 3; trial++) {
      const at = normal([subjects, dModel], 80 + trial);
      const direction = normal([subjects, dModel], 90 + trial).data as Float64Array;
      const { gradient } = await evaluate(at);
      const moved = (distance: number) =>
        float64(
          [subjects, dModel],
          (at.data as Float64Array).map((x, i) => x + distance * direction[i]),
        );
      const [ahead, behind] = [await evaluate(moved(step)), await evaluate(moved(-step))];
      const differences = ahead.loss.map((loss, e) => (loss - behind.loss[e]) / (2 * step));
      const slopes = differences.map((_, e) => {
        let sum = 0;
        for (let m = 0; m < dModel; m++) sum += gradient[e * dModel + m] * direction[e * dModel + m];
        return sum;
      });
      expect(Math.max(...slopes.map(Math.abs))).toBeGreaterThan(1e-3);
      expect(slopes).toBeAllclose(differences, tolerances.finiteDifference);
    }
  });

  it('diverges by nothing where nothing is moved, and does not depend on the other subjects', async () => {
    const still = await evaluate(float64([subjects, dModel], new Float64Array(subjects * dModel)));
    expect(still.kept).toBeAllclose([0, 0], tolerances.float64);
    const data = normal([subjects, dModel], 70).data as Float64Array;
    const both = await evaluate(float64([subjects, dModel], data));
    const first = await evaluate(
      float64(
        [subjects, dModel],
        data.map((x, i) => (i < dModel ? x : 0)),
      ),
    );
    expect(both.kept[0]).toBeGreaterThan(1e-6);
    expect(first.loss[0]).toBeCloseTo(both.loss[0], 10);
    expect(first.loss[1]).toBeCloseTo(still.loss[1], 10);
    expect(first.gradient.subarray(0, dModel)).toBeAllclose(both.gradient.subarray(0, dModel), tolerances.float64);
  });
});

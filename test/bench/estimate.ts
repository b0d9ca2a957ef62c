import {
  type EditState,
  emptyMomentSums,
  emptyState,
  KeyCollection,
  KeyMomentProgram,
  keyRows,
  segmentStorage,
  type TokenizedSubject,
  ValueSearch,
  writeRound,
} from '../../src/editing/index.js';
import { calibrate } from '../../src/estimate/calibrate.js';
import { estimateDefaults } from '../../src/estimate/estimate-request.js';
import type { EffectiveRates } from '../../src/estimate/seconds-of.js';
import { secondsOf as predictedSeconds } from '../../src/estimate/seconds-of.js';
import { factorWork, momentWork } from '../../src/estimate/statistics-work.js';
import { valuesWork } from '../../src/estimate/values-work.js';
import { writeWork } from '../../src/estimate/write-work.js';
import { inverseFactor, keySketch, matrix } from '../../src/linalg/index.js';
import { OnnxGemmEngine, rowsPerBatch } from '../../src/runtime/index.js';
import { median, nowSeconds, secondsOf } from './clock.js';
import type { BenchContext } from './context.js';
import { type Figure, figure, type Measurement } from './figure.js';
import { emptyHooks, plainStatistics } from './hooks.js';
import { meanShape } from './mean-shape.js';
import { normal } from './random.js';

const tokensOfSequence = 128;
const sequences = 24;
/** Adam steps of each search, so that no stop rule decides how long it takes. */
const steps = 10;

/** A piece of work, as predicted and as done. */
interface Trial {
  readonly what: string;
  readonly predicted: (rates: EffectiveRates) => number;
  readonly run: () => Promise<unknown>;
}

/**
 * What `hookline estimate --calibrate` predicts against what is measured: a pass over text, a value search, a round on top of
 * others. The machine's rates are measured before each turn of each, so that prediction and measurement meet it in one mood.
 */
export async function measurePlan(context: BenchContext): Promise<Measurement> {
  const { model, settings, quick } = context;
  const trials = [
    await statisticsTrial(context),
    await valuesTrial(context),
    await solveTrial(context),
    await factorTrial(context),
  ];
  const figures: Figure[] = [];
  for (const { what, run, predicted } of trials) {
    const [expected, actual, ratios]: [number[], number[], number[]] = [[], [], []];
    await run();
    for (let turn = 0; turn < (quick ? 3 : 5); turn++) {
      expected.push(predicted(await calibrate(model.config, { nowSeconds })));
      actual.push(await secondsOf(run));
      ratios.push(expected[turn] / actual[turn]);
    }
    figures.push(
      figure(`${what}: predicted, median`, median(expected), 's'),
      figure(`${what}: measured, median`, median(actual), 's'),
      figure(`${what}: predicted / measured, median`, median(ratios), 'x', { atLeast: 0.7 }),
      figure(`${what}: the same, from above`, median(ratios), 'x', { atMost: 1.3 }),
    );
  }
  return {
    name: 'plan',
    note: `layers ${settings.layers.join(', ')}; rates calibrated in turns with what is measured`,
    figures,
  };
}

async function statisticsTrial({ model, settings: { layers }, text }: BenchContext): Promise<Trial> {
  const moments = await KeyMomentProgram.compile(model, layers);
  const read = text(sequences, tokensOfSequence);
  const sums = emptyMomentSums(layers, model.config.dInner);
  const batch = rowsPerBatch / tokensOfSequence;
  return {
    what: `statistics of ${sequences * tokensOfSequence} tokens`,
    predicted: (rates) => {
      const size = { tokens: sequences * tokensOfSequence, sequenceTokens: tokensOfSequence };
      return predictedSeconds(momentWork(model.config, layers, size), rates);
    },
    run: async () => {
      for (let first = 0; first < sequences; first += batch) await moments.add(read.slice(first, first + batch), sums);
    },
  };
}

async function valuesTrial({ model, settings, subjects, options }: BenchContext): Promise<Trial> {
  const fixed = { ...settings, stopLoss: 0, steps, targetSteps: 0 };
  const search = await ValueSearch.compile(model, fixed);
  const sought = subjects.slice(0, options.edits);
  const plan = {
    ...estimateDefaults,
    config: model.config,
    settings: fixed,
    shape: meanShape(sought, settings),
    steps,
  };
  return {
    what: `values of ${sought.length} edits`,
    predicted: (rates) => predictedSeconds(valuesWork(plan, sought.length), rates),
    run: () => search.search(sought),
  };
}

/** The second of two rounds. */
async function solveTrial({ model, settings, subjects, options }: BenchContext): Promise<Trial> {
  const { config } = model;
  const engine = new OnnxGemmEngine();
  const collection = await KeyCollection.compile(model, settings);
  const storage = segmentStorage(config.dInner, config.dModel);
  const statistics = await plainStatistics(model, settings, 1);
  const round = { settings, collection, statistics, engine, rowsPerBatch, storage };
  const next = normal(1);
  const targets = (count: number) =>
    matrix(config.dModel, count, Float64Array.from({ length: config.dModel * count }, next));
  const half = Math.min(options.edits, subjects.length >> 1);
  const [earlier, written] = [subjects.slice(0, half), subjects.slice(half, 2 * half)];
  const hooks = emptyHooks(model, settings);
  const gathered = async (some: readonly TokenizedSubject[]) => (await keyRows(round, some, hooks)).rows;
  const write = async (state: EditState, some: readonly TokenizedSubject[]) => {
    const rows = await gathered(some);
    return writeRound(round, state, { rows, targets: targets(rows.length), prompts: [] });
  };
  const { state } = await write(emptyState(config, settings), earlier);
  const { keptTokens } = settings;
  const shape = meanShape(written, { keptTokens, rows: (await gathered(written)).length });
  const sizes = { config, settings, shape, edits: written.length, earlierEdits: state.rowIds.length / shape.rows };
  return {
    what: `solve of ${written.length} edits on ${earlier.length}`,
    predicted: (rates) => predictedSeconds(writeWork(sizes), rates),
    run: () => write(state, written),
  };
}

async function factorTrial({ model: { config } }: BenchContext): Promise<Trial> {
  const engine = new OnnxGemmEngine();
  const moment = matrix(config.dInner, config.dInner);
  const next = normal(2);
  for (let i = 0; i < config.dInner; i++) {
    for (let j = 0; j <= i; j++) moment.data[i * config.dInner + j] = i === j ? config.dInner : next();
  }
  return {
    what: `inverse factor of ${config.dInner}`,
    predicted: (rates) => predictedSeconds(factorWork(config), rates),
    run: async () => keySketch(await inverseFactor(moment, engine), engine),
  };
}

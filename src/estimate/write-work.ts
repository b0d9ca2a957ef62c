/** @file The work of writing a round: key collection, and the solve, which grows with the earlier rounds. */
import { type Hyperparameters, valueLayer } from '../editing/index.js';
import type { ModelConfig } from '../model/index.js';
import { rowsPerBatch } from '../runtime/index.js';
import { denseWork } from './dense-work.js';
import { collectedTokens, type EditShape } from './edit-shape.js';
import { forwardRun, hookForward } from './forward-work.js';
import { sumWork, timesWork, type Work, workOf } from './work.js';

/** A round on top of others. */
export interface RoundPlanSizes {
  readonly config: ModelConfig;
  readonly settings: Hyperparameters;
  readonly shape: EditShape;
  /** Edits of the round. */
  readonly edits: number;
  /** Edits of all rounds before. */
  readonly earlierEdits: number;
}

/** The whole round: its layers one after the other, each with its own keys. */
export function writeWork(round: RoundPlanSizes): Work {
  const { layers } = round.settings;
  return timesWork(layers.length, sumWork(collectWork(round), appendWork(round)));
}

/** Keys and block outputs at the subjects, in all templates, up to the value layer. */
function collectWork({ config, settings, shape, edits, earlierEdits }: RoundPlanSizes): Work {
  const { dInner, dModel } = config;
  const count = settings.layers.length;
  const tokens = edits * collectedTokens(shape);
  const runs = Math.ceil(tokens / rowsPerBatch);
  const rows = tokens / runs;
  const batch = (edits * shape.templates) / runs;
  const run = { rows, batch, tokens: shape.longestOverMean * (rows / batch) };
  const prompts = edits * shape.templates;
  return sumWork(
    timesWork(
      runs,
      sumWork(
        forwardRun(config, run, valueLayer(settings) + 1),
        hookForward(config, rows, earlierEdits + edits / 2, count),
      ),
    ),
    // The mean over templates goes column by column, and the hooks are made from the state each time.
    workOf({ hostElements: 4 * prompts * (count * dInner + dModel) + count * earlierEdits * (dInner + dModel) }),
  );
}

/**
 * `appendRound` for one layer with `n` new edits on `p` earlier ones: whitening, the keys that the rounded rows stand
 * for, products with the earlier edits, {@link replayWork}, and about as much again for checking that rounding is
 * harmless.
 */
function appendWork({ config, edits: n, earlierEdits: p }: RoundPlanSizes): Work {
  const { dInner, dModel } = config;
  const append = denseWork((dense) => {
    dense.product(dInner, n, dInner);
    dense.product(n, dInner, dInner);
    dense.triangularSolve(dInner, n);
    dense.triangularSolve(dInner, n);
    dense.product(n, n, dInner);
    dense.product(n, p, dInner);
    dense.product(p, n, dInner);
    dense.product(dModel, n, p);
    if (p > 0) {
      dense.product(dModel, n, p);
      dense.triangularSolve(p, n);
      dense.product(n, n, p);
      dense.product(n, n, dModel);
      dense.product(n, p, n);
      dense.product(n, n, n);
    }
    dense.copy(4 * dInner * n + 8 * p * n);
  });
  const reading = workOf({
    // The time of products with few columns goes into reading the factor and the earlier edits.
    operandBytes: 8 * (3 * dInner ** 2 + 2 * p * dInner + 2 * p * dModel),
    roundedNumbers: roundedNumbers(config, p, n),
  });
  return sumWork(append, reading, replayWork(config, p, n));
}

/** Factor of the cost of rounding if the largest of every 64 numbers are picked out. */
const peakFactor = 1.6;

/** Keys, targets and gram rows of a round, once. */
const roundedNumbers = ({ dInner, dModel }: ModelConfig, p: number, n: number): number =>
  n * (dInner + dModel) + peakFactor * n * p;

/**
 * `replayRound`: one layer's memory after `n` new edits on `p` earlier ones.
 *
 * @param p earlier edits
 * @param n new edits
 */
function replayWork({ dInner, dModel }: Pick<ModelConfig, 'dInner' | 'dModel'>, p: number, n: number): Work {
  return denseWork((dense) => {
    dense.triangularSolve(p, n);
    dense.product(n, n, p);
    dense.cholesky(n);
    dense.product(dModel, n, p);
    dense.triangularSolve(n, dModel);
    dense.triangularSolve(n, dModel);
    dense.triangularSolve(p, n);
    dense.product(dModel, p, n);
    dense.copy(n * (n + 2 * dModel));
    if (p === 0) return;
    dense.copy(n * (2 * (p + n) + dInner + dModel));
    // The memory of earlier edits is copied with the new ones beside it.
    dense.copy(2 * (p + n) ** 2 + (p + n) * (dInner + 2 * dModel));
  });
}

/** A layer's memory from all segments, or from another memory and more segments, in one solve. */
export function rebuildWork(config: Pick<ModelConfig, 'dInner' | 'dModel'>, edits: number): Work {
  const { dInner, dModel } = config;
  // Joining goes number by number, and stored numbers are widened and scaled first.
  const joined = workOf({ hostElements: 2 * edits ** 2 + 3 * edits * (dInner + dModel) });
  return sumWork(joined, replayWork(config, 0, edits));
}

/** The record of a solve: the stored round is replayed, and the change of each weight matrix is measured. */
export function recordWork({ config, settings, edits, earlierEdits }: RoundPlanSizes): Work {
  const { dInner, dModel } = config;
  const all = earlierEdits + edits;
  const change = workOf({
    float64Flops: 2 * dModel * all * dInner,
    operandBytes: 8 * (all * (dInner + dModel) + dModel * dInner),
    transferBytes: 8 * (all * (dInner + dModel) + dModel * dInner),
    hostElements: 4 * dModel * dInner,
    roundedNumbers: roundedNumbers(config, earlierEdits, edits),
    runs: 1,
    operators: 1,
  });
  return timesWork(settings.layers.length, sumWork(rebuildWork(config, all), change));
}

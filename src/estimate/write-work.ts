/** @file The work of writing a round: forms and their keys, and the solve, which grows with the rows of earlier rounds. */
import { beginningCount, type Hyperparameters, valueLayer } from '../editing/index.js';
import type { ModelConfig } from '../model/index.js';
import { rowsPerBatch } from '../runtime/index.js';
import { denseWork } from './dense-work.js';
import type { EditShape } from './edit-shape.js';
import { forwardRun, hookForward, sketchRank } from './forward-work.js';
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

/** Rows of a round, and of all rounds before. */
const rowsOf = ({ shape, edits, earlierEdits }: RoundPlanSizes) => ({
  rows: shape.rows * edits,
  earlierRows: shape.rows * earlierEdits,
});

/** The whole round: forms are gathered into rows, then its layers one after the other, each with its own keys. */
export function writeWork(round: RoundPlanSizes): Work {
  const { layers } = round.settings;
  return sumWork(gatherWork(round), timesWork(layers.length, sumWork(collectWork(round), appendWork(round))));
}

/** `keyRows`: the keys of all forms and of some first tokens, their whitened cosines in every layer, and their norms by the sketch. */
function gatherWork(round: RoundPlanSizes): Work {
  const { config, settings, shape, edits } = round;
  const { dInner } = config;
  const forms = edits * shape.forms + beginningCount;
  const compared = denseWork((dense) => {
    dense.product(dInner, forms, dInner);
    dense.product(forms, dInner, dInner);
    dense.product(sketchRank, forms, dInner);
  });
  const cosines = workOf({ hostFlops: 2 * forms * shape.rows * dInner, operandBytes: 8 * dInner ** 2 });
  return sumWork(collectWork(round, beginningCount), timesWork(settings.layers.length, sumWork(compared, cosines)));
}

/** Keys and block outputs at the ends of all forms, up to the value layer. @param single sequences of one token beside them */
function collectWork(round: RoundPlanSizes, single = 0): Work {
  const { config, settings, shape, edits } = round;
  const { rows: newRows, earlierRows } = rowsOf(round);
  const { dInner, dModel } = config;
  const count = settings.layers.length;
  const forms = edits * shape.forms + single;
  const tokens = edits * shape.forms * shape.formTokens + single;
  const runs = Math.ceil(tokens / rowsPerBatch);
  const rows = tokens / runs;
  const batch = forms / runs;
  const run = { rows, batch, tokens: shape.longestOverMean * (rows / batch) };
  return sumWork(
    timesWork(
      runs,
      sumWork(
        forwardRun(config, run, valueLayer(settings) + 1),
        hookForward(config, rows, earlierRows + newRows / 2, count),
      ),
    ),
    // The mean over forms goes column by column, and the hooks are made from the state each time.
    workOf({ hostElements: 4 * forms * (count * dInner + dModel) + count * earlierRows * (dInner + dModel) }),
  );
}

/**
 * `appendRound` for one layer with `n` new rows on `p` earlier ones: whitening, the keys that the rounded rows stand
 * for, products with the earlier rows, {@link replayWork}, and about as much again for checking that rounding is
 * harmless.
 */
function appendWork(round: RoundPlanSizes): Work {
  const { config } = round;
  const { dInner, dModel } = config;
  const { rows: n, earlierRows: p } = rowsOf(round);
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
    // The time of products with few columns goes into reading the factor and the earlier rows.
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
 * `replayRound`: one layer's memory after `n` new rows on `p` earlier ones.
 *
 * @param p earlier rows
 * @param n new rows
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
    // The memory of earlier rows is copied with the new ones beside it.
    dense.copy(2 * (p + n) ** 2 + (p + n) * (dInner + 2 * dModel));
  });
}

/** A layer's memory from all segments, or from another memory and more segments, in one solve. */
export function rebuildWork(config: Pick<ModelConfig, 'dInner' | 'dModel'>, rows: number): Work {
  const { dInner, dModel } = config;
  // Joining goes number by number, and stored numbers are widened and scaled first.
  const joined = workOf({ hostElements: 2 * rows ** 2 + 3 * rows * (dInner + dModel) });
  return sumWork(joined, replayWork(config, 0, rows));
}

/** The record of a solve: the stored round is replayed, and the change of each weight matrix is measured. */
export function recordWork(round: RoundPlanSizes): Work {
  const { config, settings } = round;
  const { dInner, dModel } = config;
  const { rows, earlierRows } = rowsOf(round);
  const all = earlierRows + rows;
  const change = workOf({
    float64Flops: 2 * dModel * all * dInner,
    operandBytes: 8 * (all * (dInner + dModel) + dModel * dInner),
    transferBytes: 8 * (all * (dInner + dModel) + dModel * dInner),
    hostElements: 4 * dModel * dInner,
    roundedNumbers: roundedNumbers(config, earlierRows, rows),
    runs: 1,
    operators: 1,
  });
  return timesWork(settings.layers.length, sumWork(rebuildWork(config, all), change));
}

/** @file Writing a round: key collection, the thin solve, and what it grows by with the rounds before. */
import { type Hyperparameters, valueLayer } from '../../editing/index.js';
import { blockSize } from '../../linalg/index.js';
import type { ModelConfig } from '../../model/index.js';
import { rowsPerBatch } from '../workbench.js';
import { collectedTokens, type EditShape } from './edit-shape.js';
import { forwardRun, hookForward } from './forward-work.js';
import { sumWork, timesWork, type Work, workOf } from './work.js';

/** A round that is written on top of others. */
export interface RoundPlanSizes {
  readonly config: ModelConfig;
  readonly settings: Hyperparameters;
  readonly shape: EditShape;
  /** Edits of the round. */
  readonly edits: number;
  /** Edits of all rounds before. */
  readonly earlierEdits: number;
}

/** All of a round: its layers one after the other, each with keys of its own. */
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
    // The mean over templates goes column by column, and hooks are made of the state each time.
    workOf({ hostElements: 4 * prompts * (count * dInner + dModel) + count * earlierEdits * (dInner + dModel) }),
  );
}

/**
 * `appendRound` for one layer. With `n` new edits on `p` earlier ones: `4 dInner² n` to whiten, `2 dInner² n` for the keys
 * that the rounded rows stand for, `4 dInner p n + 2 dModel p n` against the earlier ones, then {@link replayWork} and about
 * as much again to see that rounding does no harm.
 */
function appendWork({ config, edits: n, earlierEdits: p }: RoundPlanSizes): Work {
  const { dInner, dModel } = config;
  const solves = 2 * (dInner / blockSize);
  return sumWork(
    workOf({
      float64Flops:
        (6 * dInner ** 2 - 2 * blockSize * dInner) * n + 4 * dInner * p * n + 2 * dInner * n ** 2 + 4 * dModel * p * n,
      operandBytes: 8 * (3 * dInner ** 2 + 2 * p * dInner + 2 * p * dModel),
      transferBytes: 8 * (3 * dInner ** 2 + 2 * p * dInner + 2 * p * dModel + 6 * dInner * n),
      hostFlops: 2 * blockSize * dInner * n + p ** 2 * n + 4 * p * n ** 2,
      runs: 6 + solves,
      operators: 6 + solves,
      // Blocks are cut out of the factor.
      hostElements: dInner ** 2,
      roundedNumbers: roundedNumbers(config, p, n),
    }),
    replayWork(config, p, n),
  );
}

/** Where the largest of every 64 numbers are sorted out, rounding costs this many times as much. */
const peakFactor = 1.6;

/** Keys, targets and gram rows of a round, once. */
const roundedNumbers = ({ dInner, dModel }: ModelConfig, p: number, n: number): number =>
  n * (dInner + dModel) + peakFactor * n * p;

/**
 * One layer's memory after one more round, in plain TypeScript: two triangular solves of `p² n`, products of
 * `4 dModel p n + 2 p n²`, and copies of the gram matrix, its factor and the whitened keys.
 *
 * @param p earlier edits
 * @param n new edits
 */
export function replayWork({ dInner, dModel }: ModelConfig, p: number, n: number): Work {
  return workOf({
    hostFlops: 2 * p ** 2 * n + 2 * p * n ** 2 + 4 * dModel * p * n + n ** 3 / 3 + 2 * n ** 2 * dModel,
    hostElements: ((p + n) ** 2 + (p + n) * dInner) / 2 + 4 * n * (dInner + dModel),
  });
}

/** What a solve tells beside its segment: the round replayed as stored, and how much each weight was changed. */
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
  return timesWork(settings.layers.length, sumWork(replayWork(config, earlierEdits, edits), change));
}

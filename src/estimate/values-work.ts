/** @file The work of a value search: what runs once below and above the value layer, and what every step runs. */
import { type Hyperparameters, objectiveRowBytes, valueLayer } from '../editing/index.js';
import type { ModelConfig } from '../model/index.js';
import { type EditShape, type ObjectiveRows, type ObjectiveShape, objectiveShape } from './edit-shape.js';
import { blockForward, blockStep, computedBytes, forwardRun, packedElements, type RunRows } from './forward-work.js';
import { keyWidth, vocabularyParameters } from './model-size.js';
import { sumWork, timesWork, type Work, workOf } from './work.js';

/** A search for the values of some edits. */
export interface ValueSearchPlan {
  readonly config: ModelConfig;
  readonly settings: Hyperparameters;
  readonly shape: EditShape;
  /** Steps of each edit. */
  readonly steps: number;
  readonly memoryBudgetBytes: number;
}

/** Edits of one micro-batch: as many as the memory budget allows by their suffix rows. */
export function editsPerBatch({ config, settings, shape, memoryBudgetBytes }: ValueSearchPlan): number {
  const rows = Math.max(1, Math.floor(memoryBudgetBytes / objectiveRowBytes(config, settings)));
  return Math.max(1, Math.floor(rows / objectiveShape(shape, settings).whole.suffixTokens));
}

/** The search for this many edits, in micro-batches that are full except for the last. */
export function valuesWork(plan: ValueSearchPlan, edits: number): Work {
  const full = editsPerBatch(plan);
  const whole = Math.floor(edits / full);
  const rest = edits - whole * full;
  const works = [timesWork(whole, batchWork(plan, full))];
  if (rest > 0) works.push(batchWork(plan, rest));
  return sumWork(...works);
}

/**
 * One micro-batch. The whole objective at `delta = 0` says what is to be kept, and leads to the first step. Before each other step,
 * one part is evaluated. After the last step every taught sequence is evaluated once more, as many at a time as a part has.
 */
function batchWork(plan: ValueSearchPlan, edits: number): Work {
  const { settings, shape } = plan;
  const objective = objectiveShape(shape, settings);
  const { whole, taught, part } = objective;
  const looks = settings.templatesPerStep === 0 ? 1 : Math.ceil(taught.sequences / (settings.templatesPerStep + 1));
  return sumWork(
    preparation(plan, whole, edits),
    evaluation(plan, objective, edits, whole),
    timesWork(plan.steps - 1, evaluation(plan, objective, edits, part)),
    timesWork(looks, evaluation(plan, objective, edits, shareOf(taught, looks))),
  );
}

/** One of `parts` equal parts of some rows. */
const shareOf = (rows: ObjectiveRows, parts: number): ObjectiveRows => ({
  sequences: rows.sequences / parts,
  tokens: rows.tokens / parts,
  prefixTokens: rows.prefixTokens / parts,
  suffixTokens: rows.suffixTokens / parts,
  targets: rows.targets / parts,
  kept: rows.kept / parts,
});

/** All sequences up to the value layer, and their prefixes above it. */
function preparation(plan: ValueSearchPlan, each: ObjectiveRows, edits: number): Work {
  const { config, settings, shape } = plan;
  const value = valueLayer(settings);
  const above = config.layers - value - 1;
  const batch = edits * each.sequences;
  const runOf = (tokens: number): RunRows => ({
    rows: edits * tokens,
    batch,
    tokens: shape.longestOverMean * (tokens / each.sequences),
  });
  const whole = runOf(each.tokens);
  const prefix = runOf(each.prefixTokens);
  // The last block computes only keys and values.
  const last = blockForward(config, { ...prefix, tokens: 0 }, 2 * config.dModel * keyWidth(config));
  const beginnings = above === 0 ? [] : [forwardRun(config, prefix, above - 1), last];
  const past = 2 * above * keyWidth(config) * batch * prefix.tokens;
  return sumWork(
    forwardRun(config, whole, value + 1),
    ...beginnings,
    // Hidden states are cut, and the past is copied into its parts. Both leave the device once.
    workOf({
      hostElements: 2 * ((whole.rows + prefix.rows) * config.dModel + past),
      transferBytes: computedBytes * (2 * whole.rows * config.dModel + past),
    }),
  );
}

/** The objective and its gradient once, on some of every edit's sequences, each with a delta of its own. */
function evaluation(plan: ValueSearchPlan, { whole, parts }: ObjectiveShape, edits: number, each: ObjectiveRows): Work {
  const { config, settings, shape } = plan;
  const above = config.layers - valueLayer(settings) - 1;
  const batch = edits * each.sequences;
  const run: RunRows = {
    rows: edits * each.suffixTokens,
    batch,
    tokens: shape.longestSuffixOverMean * (whole.suffixTokens / whole.sequences),
    past: shape.longestOverMean * (whole.prefixTokens / whole.sequences),
  };
  const kept = Math.max(1, edits * each.kept);
  const targets = edits * each.targets;
  return sumWork(
    timesWork(above, blockStep(config, run)),
    vocabularyStep(config, targets, kept),
    workOf({
      gemmFlops: 4 * run.rows * edits * each.sequences * config.dModel,
      elements: 5 * run.rows * config.dModel,
      operators: 60,
      runs: 1,
      transferBytes: transferred(config, run, above, kept),
      // The steps and norms of each edit. The layout of a part is made once for its `steps / parts` evaluations.
      hostElements: 12 * edits * config.dModel + packedElements(run, config) / Math.max(1, plan.steps / parts),
    }),
  );
}

/** Feeds and outputs of an evaluation: the past, the rows, the kept distributions before and now. */
const transferred = (config: ModelConfig, { rows, batch, past = 0 }: RunRows, above: number, kept: number): number =>
  computedBytes *
  (2 * above * keyWidth(config) * batch * past + rows * config.dModel + 2 * Math.ceil(kept) * config.vocab);

/** Both sides of the vocabulary, `2 rows dModel vocab` FLOPs forward and backward each. */
function vocabularyStep(config: ModelConfig, targets: number, kept: number): Work {
  return workOf({
    gemmFlops: 4 * (targets + kept) * vocabularyParameters(config),
    operandBytes: 4 * computedBytes * vocabularyParameters(config),
    elements: (8 * targets + 12 * kept) * config.vocab,
    operators: 40,
  });
}

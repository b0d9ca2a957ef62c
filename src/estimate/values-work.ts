/** @file The work of a value search: what runs once below and above the value layer, and what every step runs. */
import { type Hyperparameters, objectiveRowBytes, valueLayer } from '../editing/index.js';
import type { ModelConfig } from '../model/index.js';
import { rowsPerBatch } from '../runtime/index.js';
import { type EditShape, type ObjectiveRows, type ObjectiveShape, objectiveShape } from './edit-shape.js';
import { blockForward, blockStep, computedBytes, forwardRun, packedElements, type RunRows } from './forward-work.js';
import { isLarge, keyWidth, vocabularyParameters } from './model-size.js';
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

/** Bytes that one edit takes in work: the rows of a step, and what is kept for the next one. */
function bytesInWork({ config, settings, shape }: ValueSearchPlan): { readonly step: number; readonly kept: number } {
  const { whole, taught } = objectiveShape(shape, settings);
  const above = config.layers - valueLayer(settings) - 1;
  const { templatesPerStep } = settings;
  const keeping = shareOf(subtractRows(whole, taught), Math.max(1, whole.sequences - taught.sequences));
  const ofTaught = templatesPerStep === 0 ? 1 : Math.min(1, templatesPerStep / taught.sequences);
  const rows = templatesPerStep === 0 ? whole.suffixTokens : ofTaught * taught.suffixTokens + keeping.suffixTokens;
  const numbers =
    2 * above * keyWidth(config) * whole.prefixTokens + whole.suffixTokens * config.dModel + whole.kept * config.vocab;
  return { step: rows * objectiveRowBytes(config, settings), kept: computedBytes * numbers };
}

/** Edits that are in work at the same time: as many as the memory budget allows. */
export function editsAtOnce(plan: ValueSearchPlan): number {
  const { step, kept } = bytesInWork(plan);
  return Math.max(1, Math.floor(plan.memoryBudgetBytes / (step + kept)));
}

/** The search for this many edits. Each that is done makes room for the next, so all steps but the last ones are full. */
export function valuesWork(plan: ValueSearchPlan, edits: number): Work {
  const { settings, shape } = plan;
  const objective = objectiveShape(shape, settings);
  const { whole, taught, part } = objective;
  const looks = settings.templatesPerStep === 0 ? 1 : Math.ceil(taught.sequences / (settings.templatesPerStep + 1));
  const atOnce = Math.min(edits, editsAtOnce(plan));
  const perRun = Math.min(edits, Math.max(1, Math.floor(rowsPerBatch / whole.tokens)));
  const times = edits / atOnce;
  return sumWork(
    inRuns(edits, perRun, (some) => preparation(plan, whole, some)),
    inRuns(edits, perRun, (some) => atZero(plan, objective, some)),
    timesWork(times * (plan.steps - 1), evaluation(plan, objective, atOnce, part)),
    timesWork(times * looks, evaluation(plan, objective, atOnce, shareOf(taught, looks))),
  );
}

/** The work of full runs, and of a last one with the rest. */
function inRuns(edits: number, perRun: number, workOfRun: (edits: number) => Work): Work {
  const full = Math.floor(edits / perRun);
  const rest = edits - full * perRun;
  return sumWork(timesWork(full, workOfRun(perRun)), ...(rest > 0 ? [workOfRun(rest)] : []));
}

/** The whole objective at `delta = 0`, as many rows at a time as there is memory for. It says what is to be kept. */
function atZero(plan: ValueSearchPlan, objective: ObjectiveShape, edits: number): Work {
  const { config, settings, memoryBudgetBytes } = plan;
  const { whole } = objective;
  const free = memoryBudgetBytes - Math.min(edits, editsAtOnce(plan)) * bytesInWork(plan).kept;
  const rowsPerRun = Math.max(1, free / objectiveRowBytes(config, settings));
  const runs = Math.max(1, Math.ceil((edits * whole.suffixTokens) / rowsPerRun));
  return timesWork(runs, evaluation(plan, objective, edits, shareOf(whole, runs)));
}

/** Rows without some of them. */
const subtractRows = (all: ObjectiveRows, some: ObjectiveRows): ObjectiveRows => ({
  sequences: all.sequences - some.sequences,
  tokens: all.tokens - some.tokens,
  prefixTokens: all.prefixTokens - some.prefixTokens,
  suffixTokens: all.suffixTokens - some.suffixTokens,
  targets: all.targets - some.targets,
  kept: all.kept - some.kept,
});

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
  // The program of a large model's objective says them, and computes a gradient with it.
  const program = isLarge(config)
    ? [timesWork(above, blockStep(config, prefix))]
    : [forwardRun(config, prefix, above - 1), last];
  const beginnings = above === 0 ? [] : program;
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

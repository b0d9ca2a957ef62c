/**
 * @file The work of validation: every prompt of an edit with the edited and the base model, decoding, and ordinary
 *   text.
 */
import type { Hyperparameters } from '../editing/index.js';
import type { ModelConfig } from '../model/index.js';
import { rowsPerBatch } from '../runtime/index.js';
import type { EditShape } from './edit-shape.js';
import { forwardRun, hookForward, vocabularyForward } from './forward-work.js';
import { sumWork, timesWork, type Work } from './work.js';

/** A validation with this many rows in the hooks. */
export interface ValidationSizes {
  readonly config: ModelConfig;
  readonly settings: Hyperparameters;
  readonly shape: EditShape;
  /** Rows of all edits in force. */
  readonly heldRows: number;
}

/** Tokens decoded beyond the target. */
const beyondTarget = 6;
/** Prompts about the subject, for edits without their own. */
const sameSubjectPrompts = 3;
/** Earlier edits whose retention is sampled, tokens of held-out text. */
const retentionSample = 100;
const heldOutTokens = 4096;
const textSequence = 128;

/** Teacher-forced scores and greedy answers of the round's edits, edited and base. Answers in chat are not counted. */
export function editsValidation(sizes: ValidationSizes, edits: number): Work {
  return sumWork(scores(sizes, edits, scoredTokens(sizes.shape)), decodes(sizes, edits), decodes(sizes, edits));
}

/** What the first task measures beside its edits: drift, and the retention of earlier edits. */
export function wholeValidation(sizes: ValidationSizes, earlierEdits: number): Work {
  const { promptTokens, targetTokens } = sizes.shape;
  const sampled = Math.min(retentionSample, earlierEdits);
  return sumWork(scores(sizes, sampled, promptTokens + targetTokens), drift(sizes));
}

/** The context templates, a few prefixes of ten tokens, which the base model writes once. */
export function writtenContexts(sizes: ValidationSizes): Work {
  const { config, shape } = sizes;
  const prefixes = Math.max(1, shape.templates - 1);
  const token = sumWork(
    forwardRun(config, { rows: prefixes, batch: prefixes, tokens: 1, past: shape.prefixTokens / 2 }, config.layers),
    vocabularyForward(config, prefixes),
  );
  return timesWork(shape.prefixTokens, token);
}

/** What the base model says behind the openings of these edits, which a value search keeps. */
export function writtenContinuations(sizes: Omit<ValidationSizes, 'heldRows'>, edits: number): Work {
  const { config, shape, settings } = sizes;
  if (settings.keptTokens === 0 || settings.keepFactor === 0) return sumWork();
  const texts = edits * shape.keptTexts;
  const openings = hookedRows({ ...sizes, heldRows: 0 }, texts * shape.openingTokens, shape.openingTokens);
  const past = shape.openingTokens + settings.keptTokens / 2;
  const token = sumWork(
    forwardRun(config, { rows: texts, batch: texts, tokens: 1, past }, config.layers),
    vocabularyForward(config, texts),
  );
  return sumWork(openings, timesWork(settings.keptTokens, token));
}

/**
 * Tokens of an edit's questions. The edited model gets prompt, paraphrases and neighbours, each with the new and the
 * true target. Both get the prompts about the subject. The base model gets nothing else: neighbours open no gate, so that both
 * models say the same of them.
 */
function scoredTokens(shape: EditShape): number {
  const { targetTokens } = shape;
  const rivals = shape.promptTokens + targetTokens + shape.paraphrases * (shape.paraphraseTokens + targetTokens);
  const neighbours = shape.neighborhood * (shape.neighborhoodTokens + targetTokens);
  return 2 * rivals + 2 * neighbours + 2 * sameSubjectPrompts * (shape.promptTokens + 1);
}

function scores(sizes: ValidationSizes, edits: number, tokensEach: number): Work {
  const { config, shape } = sizes;
  const rows = edits * tokensEach;
  const mean = shape.neighborhoodTokens + shape.targetTokens;
  // Every sequence ends with a few scored rows.
  const scored = (rows / mean) * shape.targetTokens;
  return sumWork(hookedRows(sizes, rows, mean), timesWork(rows / rowsPerBatch, vocabularyOf(config, scored, rows)));
}

const vocabularyOf = (config: ModelConfig, scored: number, rows: number): Work =>
  vocabularyForward(config, rows === 0 ? 0 : (scored * rowsPerBatch) / rows);

/** Runs of the trunk with hooks, on sequences of this length. */
function hookedRows({ config, settings, heldRows }: ValidationSizes, rows: number, tokens: number): Work {
  const runs = Math.ceil(rows / rowsPerBatch);
  if (runs === 0) return sumWork();
  const each = rows / runs;
  const run = { rows: each, batch: each / tokens, tokens };
  const hooks = hookForward(config, each, heldRows, settings.layers.length);
  return timesWork(runs, sumWork(forwardRun(config, run, config.layers), hooks));
}

/** Decoding: all prompts at once, then one token of each per step. */
function decodes(sizes: ValidationSizes, edits: number): Work {
  const { config, shape, settings, heldRows } = sizes;
  const { promptTokens, targetTokens } = shape;
  const token = sumWork(
    forwardRun(config, { rows: edits, batch: edits, tokens: 1, past: promptTokens }, config.layers),
    hookForward(config, edits, heldRows, settings.layers.length),
    vocabularyForward(config, edits),
  );
  const prompts = hookedRows(sizes, edits * promptTokens, promptTokens);
  return sumWork(prompts, timesWork(Math.ceil(targetTokens) + beyondTarget - 1, token));
}

/** Held-out text, of which nearly all opens no gate, so that both models are the same on it. */
function drift(sizes: ValidationSizes): Work {
  const text = hookedRows(sizes, heldOutTokens, textSequence);
  return sumWork(text, vocabularyForward(sizes.config, heldOutTokens));
}

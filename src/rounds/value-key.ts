import type { Context, Hyperparameters } from '../editing/index.js';
import { contentKey } from '../registry/index.js';
import type { RoundPlan } from './records.js';
import { contentOf, factsOf, type Subject } from './subjects.js';

/** What all values of a round depend on. */
export interface ValueInputs {
  readonly modelDigest: string;
  readonly settings: Hyperparameters;
  readonly contexts: readonly Context[];
}

/** The part of a subject that its value depends on. */
export type SearchedSubject = Pick<Subject, 'names' | 'edits' | 'earlier'>;

/**
 * The content key of a subject's value, 64 hex digits. The same inputs give the same value, whichever batch, round or version
 * the facts come from. Settings that only matter for the solve or the gate are left out.
 */
export function valueKeyOf({ modelDigest, settings, contexts }: ValueInputs, subject: SearchedSubject): string {
  const { klFactor, keepFactor, keptTokens, chatContexts, endFactor, weightDecay, clampNormFactor } = settings;
  const { descent, learningRate, longestStep, targetNoise, seed, templatesPerStep } = settings;
  const { steps, targetSteps, stopLoss, stopKept } = settings;
  const objective = { klFactor, keepFactor, keptTokens, chatContexts, endFactor, weightDecay, clampNormFactor };
  const stop = { steps, targetSteps, stopLoss, stopKept };
  const search = { ...objective, ...stop, descent, learningRate, longestStep, targetNoise, seed, templatesPerStep };
  const facts = factsOf(subject).map((edit) => {
    const { id: _, ...content } = contentOf(edit);
    return content;
  });
  return contentKey({
    kind: 'value',
    formatVersion: 4,
    modelDigest,
    layer: settings.layers[settings.layers.length - 1],
    search,
    contexts,
    names: subject.names,
    facts,
  });
}

/** The content key of each subject's value. */
export function valueKeysOf(
  { modelDigest, settings }: Pick<RoundPlan, 'modelDigest' | 'settings'>,
  contexts: readonly Context[],
  subjects: readonly SearchedSubject[],
): string[] {
  return subjects.map((subject) => valueKeyOf({ modelDigest, settings, contexts }, subject));
}

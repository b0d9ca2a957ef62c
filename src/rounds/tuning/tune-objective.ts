/** @file The objective by which tuning compares its trials. */
import type { HookMeasures } from '../evaluate-version.js';

/** What a trial measured; null where there was nothing to measure it on. */
export interface TrialMetrics {
  readonly reliability: number | null;
  readonly generality: number | null;
  readonly locality: number | null;
  readonly sameSubjectLocality: number | null;
  readonly said: number | null;
  readonly perplexityRatio: number | null;
}

/** Smaller shares count as this one, so that trials with a share of 0 still differ. */
const smallestShare = 0.01;

/** Up to this perplexity ratio there is no penalty. */
const freePerplexityRatio = 1.02;

/** How steeply the objective falls beyond that: a ratio of 1.04 costs 18 %, one of 1.07 costs 38 %. */
const penaltyExponent = 10;

/**
 * The objective of `hookline tune`, 0.01 .. 1:
 *
 *     H(reliability, generality, locality, same-subject locality, said) · min(1, 1.02 / perplexity ratio)^10
 *
 * where H is the harmonic mean: a gain in one metric cannot make up for the loss of another. Each share counts as at least
 * 0.01. A metric that was not measured is left out.
 */
export function tuneObjective(metrics: TrialMetrics): number {
  const { reliability, generality, locality, sameSubjectLocality, said, perplexityRatio } = metrics;
  const shares = [reliability, generality, locality, sameSubjectLocality, said].filter((s) => s !== null);
  const reciprocals = shares.reduce((sum, share) => sum + 1 / Math.max(smallestShare, share), 0);
  const penalty = Math.min(1, freePerplexityRatio / (perplexityRatio ?? 1)) ** penaltyExponent;
  return shares.length === 0 ? 0 : (shares.length / reciprocals) * penalty;
}

/** The metrics that the objective depends on. */
export function trialMetrics({ summary, said, drift }: HookMeasures): TrialMetrics {
  const { reliability, generality, locality, sameSubjectLocality } = summary;
  const perplexityRatio = drift?.perplexityRatio ?? null;
  return { reliability, generality, locality, sameSubjectLocality, said, perplexityRatio };
}

/** @file What a tuning trial is judged by, in one place. */
import type { HookMeasures } from '../evaluate-version.js';

/** What a trial measured; null where there was nothing to measure it on. */
export interface TrialMetrics {
  readonly reliability: number | null;
  readonly generality: number | null;
  readonly locality: number | null;
  readonly sameSubjectLocality: number | null;
  readonly liveExactMatch: number | null;
  readonly perplexityRatio: number | null;
}

/** A share below this counts as this much, so that trials with a share of 0 can still be told apart. */
const smallestShare = 0.01;

/** Perplexity ratio up to which ordinary text counts as untouched. */
const freePerplexityRatio = 1.02;

/** How steeply the objective falls beyond it: x1.04 costs 18 %, x1.07 costs 38 %. */
const penaltyExponent = 10;

/**
 * The objective of `hookline tune`, 0.01 .. 1:
 *
 *     H(reliability, generality, locality, same-subject locality, live exact match) · min(1, 1.02 / perplexity ratio)^10
 *
 * with H the harmonic mean, so that no metric can be bought with another. Each share counts as 0.01 at least; a metric that
 * could not be measured is left out.
 */
export function tuneObjective(metrics: TrialMetrics): number {
  const { reliability, generality, locality, sameSubjectLocality, liveExactMatch, perplexityRatio } = metrics;
  const shares = [reliability, generality, locality, sameSubjectLocality, liveExactMatch].filter((s) => s !== null);
  const reciprocals = shares.reduce((sum, share) => sum + 1 / Math.max(smallestShare, share), 0);
  const penalty = Math.min(1, freePerplexityRatio / (perplexityRatio ?? 1)) ** penaltyExponent;
  return shares.length === 0 ? 0 : (shares.length / reciprocals) * penalty;
}

/** What the objective looks at, of everything measured. */
export function trialMetrics({ summary, liveExactMatch, drift }: HookMeasures): TrialMetrics {
  const { reliability, generality, locality, sameSubjectLocality } = summary;
  const perplexityRatio = drift?.perplexityRatio ?? null;
  return { reliability, generality, locality, sameSubjectLocality, liveExactMatch, perplexityRatio };
}

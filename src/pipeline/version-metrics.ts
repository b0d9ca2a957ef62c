import { z } from 'zod';
import { mean, summarise } from '../evaluation/index.js';
import type { RoundMeasures, SolvedRound } from './measured-round.js';

const share = z.number().nullable();

/** The metrics that a manifest carries: one round's, and what its making cost. */
export const versionMetricsSchema = z.object({
  edits: z.number(),
  reliability: share,
  generality: share,
  locality: share,
  sameSubjectLocality: share,
  efficacySuccess: share,
  paraphraseSuccess: share,
  neighborhoodSuccess: share,
  score: share,
  retention: share,
  liveExactMatch: share,
  perplexityRatio: share,
  klToBase: share,
  swapRate: share,
  writtenShareMedian: share,
  secondsForValues: z.number(),
  secondsForSolve: z.number(),
});

export type VersionMetrics = z.infer<typeof versionMetricsSchema>;

/** Flattens a round into a manifest's metrics. */
export function versionMetrics(
  { measurements, answers, drift, retention }: Omit<RoundMeasures, 'separation' | 'gates'>,
  { writtenShare, secondsForValues, secondsForSolve }: SolvedRound,
): VersionMetrics {
  return {
    ...summarise(measurements),
    retention,
    liveExactMatch: mean(answers.map(({ exactMatch }) => Number(exactMatch))),
    perplexityRatio: drift?.perplexityRatio ?? null,
    klToBase: drift?.klToBase ?? null,
    swapRate: drift?.swapRate ?? null,
    writtenShareMedian: median(writtenShare.flat()),
    secondsForValues,
    secondsForSolve,
  };
}

/** Null for no values. */
export function median(values: readonly number[]): number | null {
  if (values.length === 0) return null;
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

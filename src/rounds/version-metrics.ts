import type { KeyStatistics } from '../editing/index.js';
import { median, summarise } from '../evaluation/index.js';
import { saidShares } from './evaluate-version.js';
import type { RoundMeasures, SolvedRound, VersionMetrics } from './records.js';

/** A manifest's metrics of what was measured of a round. */
export function versionMetrics(
  { measurements, answers, drift, retention }: Pick<RoundMeasures, 'measurements' | 'answers' | 'drift' | 'retention'>,
  {
    writtenShare,
    secondsForValues,
    secondsForSolve,
    solvers,
    rivals,
  }: Pick<SolvedRound, 'writtenShare' | 'secondsForValues' | 'secondsForSolve' | 'solvers' | 'rivals'>,
): VersionMetrics {
  return {
    ...summarise(measurements),
    retention,
    ...saidShares(answers),
    perplexityRatio: drift?.perplexityRatio ?? null,
    klToBase: drift?.klToBase ?? null,
    swapRate: drift?.swapRate ?? null,
    writtenShareMedian: median(writtenShare.flat()),
    secondsForValues,
    secondsForSolve,
    ...(solvers && { solvers }),
    ...(rivals && { rivals }),
  };
}

/** Which solver made the factors of these key statistics, by layer, where that is known. */
export function solversOf(statistics: readonly KeyStatistics[]): Pick<VersionMetrics, 'solvers'> {
  const known = statistics.flatMap(({ layer, origin }) => (origin ? [[String(layer), origin] as const] : []));
  return known.length > 0 ? { solvers: Object.fromEntries(known) } : {};
}

/** @file Whether a measured round may be published. */
import { type EditMeasurement, mean, summarise } from '../evaluation/index.js';
import type { PublishCriteria } from './criteria.js';
import type { Exclusions, GateDecision, RoundMeasures } from './records.js';

/** What is judged. */
export interface JudgedRound {
  readonly measures: Pick<RoundMeasures, 'measurements' | 'drift' | 'retention'>;
  readonly thresholds: PublishCriteria;
  /** Number of the solve. */
  readonly attempt: number;
  /** Edits of the plan, with those that were dropped. */
  readonly planned: number;
}

/**
 * Decides over a round. Edits that fail are dropped, and the rest is solved again, as often as the thresholds allow and as
 * long as enough is left; then the round as a whole must hold.
 */
export function judgeRound({ measures, thresholds, attempt, planned }: JudgedRound): GateDecision {
  const { measurements } = measures;
  const offenders = offendersOf(measurements, thresholds);
  const kept = measurements.length - offenders.length;
  const mayDrop = attempt < thresholds.maxDrops && kept > 0 && kept / planned >= thresholds.minKeptShare;
  if (offenders.length > 0 && mayDrop) return { decision: 'drop', reason: droppedText(offenders), offenders };
  const missed = missedRequirements(measures, thresholds);
  const decision = missed.length === 0 ? 'publish' : 'reject';
  return { decision, reason: missed.join('; '), offenders };
}

function offendersOf(measurements: readonly EditMeasurement[], thresholds: PublishCriteria): Exclusions {
  return measurements.flatMap(({ id, reliability, locality }) => {
    const reasons = [
      ...tooLow('reliability', reliability, thresholds.editReliability),
      ...tooLow('locality', mean(locality), thresholds.editLocality),
    ];
    return reasons.length === 0 ? [] : [{ id, reason: reasons.join('; ') }];
  });
}

function missedRequirements(
  { measurements, drift, retention }: JudgedRound['measures'],
  thresholds: PublishCriteria,
): string[] {
  const { reliability, locality } = summarise(measurements);
  const ratio = drift?.perplexityRatio ?? null;
  return [
    ...tooLow('mean reliability', reliability, thresholds.minReliability),
    ...tooLow('mean locality', locality, thresholds.minLocality),
    ...tooLow('retention of earlier edits', retention, thresholds.minRetention),
    ...(ratio !== null && !(ratio <= thresholds.maxPerplexityRatio)
      ? [`perplexity ratio: at most ${thresholds.maxPerplexityRatio}, got ${rounded(ratio)}`]
      : []),
  ];
}

/** What was not measured is not required. */
function tooLow(what: string, measured: number | null, least: number): string[] {
  return measured === null || measured >= least ? [] : [`${what}: at least ${least}, got ${rounded(measured)}`];
}

const rounded = (value: number): string => String(Number(value.toPrecision(4)));

const namedOffenders = 5;

function droppedText(offenders: Exclusions): string {
  const named = offenders.slice(0, namedOffenders).map(({ id, reason }) => `${id} (${reason})`);
  const rest = offenders.length - named.length;
  return `dropped ${offenders.length}: ${named.join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`;
}

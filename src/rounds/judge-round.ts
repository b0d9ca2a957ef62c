/** @file Whether a measured round may be published. */
import { type EditMeasurement, mean, summarise } from '../evaluation/index.js';
import type { PublishCriteria } from './criteria.js';
import type { Judgement, RejectedEdits, RoundMeasures } from './records.js';

/** What is judged. */
export interface JudgedRound {
  readonly measures: Pick<RoundMeasures, 'measurements' | 'drift' | 'retention'>;
  readonly criteria: PublishCriteria;
  /** Number of the solve. */
  readonly attempt: number;
  /** Edits of the plan, with those that were rejected. */
  readonly planned: number;
}

/**
 * Decides over a round. Edits that fail are rejected, and the rest is solved again, as often as the criteria allow and as
 * long as enough is left; then the round as a whole must hold.
 */
export function judgeRound({ measures, criteria, attempt, planned }: JudgedRound): Judgement {
  const { measurements } = measures;
  const offenders = offendersOf(measurements, criteria);
  const kept = measurements.length - offenders.length;
  const mayRepeat = attempt < criteria.maxRepeats && kept > 0 && kept / planned >= criteria.minKeptShare;
  if (offenders.length > 0 && mayRepeat) return { decision: 'repeat', reason: rejectedText(offenders), offenders };
  const missed = missedRequirements(measures, criteria);
  const decision = missed.length === 0 ? 'publish' : 'reject';
  return { decision, reason: missed.join('; '), offenders };
}

function offendersOf(measurements: readonly EditMeasurement[], criteria: PublishCriteria): RejectedEdits {
  return measurements.flatMap(({ id, reliability, locality }) => {
    const reasons = [
      ...tooLow('reliability', reliability, criteria.editReliability),
      ...tooLow('locality', mean(locality), criteria.editLocality),
    ];
    return reasons.length === 0 ? [] : [{ id, reason: reasons.join('; ') }];
  });
}

function missedRequirements(
  { measurements, drift, retention }: JudgedRound['measures'],
  criteria: PublishCriteria,
): string[] {
  const { reliability, locality } = summarise(measurements);
  const ratio = drift?.perplexityRatio ?? null;
  return [
    ...tooLow('mean reliability', reliability, criteria.minReliability),
    ...tooLow('mean locality', locality, criteria.minLocality),
    ...tooLow('retention of earlier edits', retention, criteria.minRetention),
    ...(ratio !== null && !(ratio <= criteria.maxPerplexityRatio)
      ? [`perplexity ratio: at most ${criteria.maxPerplexityRatio}, got ${rounded(ratio)}`]
      : []),
  ];
}

/** What was not measured is not required. */
function tooLow(what: string, measured: number | null, least: number): string[] {
  return measured === null || measured >= least ? [] : [`${what}: at least ${least}, got ${rounded(measured)}`];
}

const rounded = (value: number): string => String(Number(value.toPrecision(4)));

const namedOffenders = 5;

function rejectedText(offenders: RejectedEdits): string {
  const named = offenders.slice(0, namedOffenders).map(({ id, reason }) => `${id} (${reason})`);
  const rest = offenders.length - named.length;
  return `rejected ${offenders.length}: ${named.join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`;
}

/** @file Decides by the criteria whether a measured round is published. */
import { type EditMeasurement, mean, summarise } from '../evaluation/index.js';
import type { PublishCriteria } from './criteria.js';
import type { Judgement, RejectedEdits, RoundMeasures } from './records.js';

/** What is judged. */
export interface JudgedRound {
  readonly measures: Pick<RoundMeasures, 'measurements' | 'drift' | 'retention'>;
  /** Null publishes every round of which some edit was written. */
  readonly criteria: PublishCriteria | null;
  /** Number of the solve, from 0. */
  readonly attempt: number;
  /** How many edits of the plan can be written, those included that failed before. */
  readonly writable: number;
  /** Edits of the plan that are not in this solve. */
  readonly rejected: RejectedEdits;
}

/**
 * Decides whether a round is published. Edits that fail are rejected and the rest is solved again, as often as the criteria
 * allow and as long as enough edits are left. After that the round as a whole must meet the criteria. A round of which no edit
 * could be written is rejected.
 */
export function judgeRound({ measures, criteria, attempt, writable, rejected }: JudgedRound): Judgement {
  const { measurements } = measures;
  if (measurements.length === 0) return { decision: 'reject', reason: rejectedText(rejected), offenders: [] };
  if (criteria === null) return { decision: 'publish', reason: '', offenders: [] };
  const failed = failedEdits(measurements, criteria);
  const kept = measurements.length - failed.length;
  const mayRepeat = attempt < criteria.maxRepeats && kept > 0 && kept / writable >= criteria.minKeptShare;
  if (failed.length > 0 && mayRepeat) return { decision: 'repeat', reason: rejectedText(failed), offenders: failed };
  const missed = missedRequirements(measures, criteria);
  const decision = missed.length === 0 ? 'publish' : 'reject';
  return { decision, reason: missed.join('; '), offenders: failed };
}

function failedEdits(measurements: readonly EditMeasurement[], criteria: PublishCriteria): RejectedEdits {
  return measurements.flatMap(({ id, reliability, locality, unmeasured }) => {
    if (unmeasured !== undefined) return [{ id, reason: unmeasured }];
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

/** A metric that was not measured is not required. */
function tooLow(what: string, measured: number | null, least: number): string[] {
  return measured === null || measured >= least ? [] : [`${what}: at least ${least}, got ${rounded(measured)}`];
}

const rounded = (value: number): string => String(Number(value.toPrecision(4)));

const namedEdits = 5;

function rejectedText(rejected: RejectedEdits): string {
  const named = rejected.slice(0, namedEdits).map(({ id, reason }) => `${id} (${reason})`);
  const rest = rejected.length - named.length;
  return `rejected ${rejected.length}: ${named.join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`;
}

/** @file Decides by the criteria whether a measured round is published. */
import { type EditMeasurement, mean, summarise } from '../evaluation/index.js';
import type { PublishCriteria } from './criteria.js';
import type { Judgement, Memory, RejectedEdits, RoundMeasures } from './records.js';

/** What is judged. */
export interface JudgedRound {
  readonly measures: Pick<RoundMeasures, 'measurements' | 'drift' | 'retention' | 'companions'>;
  /** What each memory of the solve says. */
  readonly memories: readonly Memory[];
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
export function judgeRound({ measures, memories, criteria, attempt, writable, rejected }: JudgedRound): Judgement {
  const { measurements } = measures;
  if (measurements.length === 0) return { decision: 'reject', reason: rejectedText(rejected), offenders: [] };
  if (criteria === null) return { decision: 'publish', reason: '', offenders: [] };
  const failed = failedEdits(measures, memories, criteria);
  const kept = measurements.length - failed.length;
  const mayRepeat = attempt < criteria.maxRepeats && kept > 0 && kept / writable >= criteria.minKeptShare;
  if (failed.length > 0 && mayRepeat) return { decision: 'repeat', reason: rejectedText(failed), offenders: failed };
  const missed = missedRequirements(measures, criteria);
  const decision = missed.length === 0 ? 'publish' : 'reject';
  return { decision, reason: missed.join('; '), offenders: failed };
}

/** Edits that are not good enough themselves, and those with which an earlier fact of their subject is lost. */
function failedEdits(
  { measurements, companions }: JudgedRound['measures'],
  memories: readonly Memory[],
  criteria: PublishCriteria,
): RejectedEdits {
  const own = failedThemselves(measurements, criteria);
  const failedIds = new Set(own.map(({ id }) => id));
  const displacing = lostFacts(companions, criteria).flatMap(({ version, id, reason }) => {
    const memory = memories.find(({ earlier }) => earlier.some((fact) => fact.version === version && fact.id === id));
    return memory === undefined || memory.editIds.some((editId) => failedIds.has(editId))
      ? []
      : memory.editIds.map((editId) => ({ id: editId, reason }));
  });
  const first = new Map(displacing.toReversed().map((edit) => [edit.id, edit]));
  return [...own, ...displacing.filter((edit) => first.get(edit.id) === edit)];
}

/** The earlier facts of the round's subjects that are not said any more, each with the reason. */
const lostFacts = (companions: RoundMeasures['companions'], { editReliability }: PublishCriteria) =>
  companions.flatMap(({ version, id, reliability }) =>
    tooLow(`reliability of earlier edit ${id} of the same subject`, reliability, editReliability).map((reason) => ({
      version,
      id,
      reason,
    })),
  );

function failedThemselves(measurements: readonly EditMeasurement[], criteria: PublishCriteria): RejectedEdits {
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
  { measurements, companions, drift, retention }: JudgedRound['measures'],
  criteria: PublishCriteria,
): string[] {
  const { reliability, locality } = summarise(measurements);
  const ratio = drift?.perplexityRatio ?? null;
  return [
    ...tooLow('mean reliability', reliability, criteria.minReliability),
    ...tooLow('mean locality', locality, criteria.minLocality),
    ...tooLow('retention of earlier edits', retention, criteria.minRetention),
    // No new edit is worth an earlier one.
    ...lostFacts(companions, criteria).map(({ reason }) => reason),
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

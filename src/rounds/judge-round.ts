/** @file Decides by the criteria whether a measured round is published. */
import { type LiveAnswer, mean, printable, summarise } from '../evaluation/index.js';
import type { PublishCriteria } from './criteria.js';
import { saidShares } from './evaluate-version.js';
import type { Judgement, Memory, RejectedEdits, RoundMeasures, RoundPlan } from './records.js';

/** What is judged. */
export interface JudgedRound {
  readonly measures: Pick<RoundMeasures, 'measurements' | 'answers' | 'drift' | 'retention' | 'companions'>;
  /** The edits that were measured, and earlier facts among which are those that were measured again. */
  readonly plan: Pick<RoundPlan, 'edits' | 'earlier'>;
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
 * allow and as long as enough edits are left. After that the round as a whole must meet the criteria, and enough of its edits
 * must be good enough themselves. A round of which no edit could be written is rejected.
 */
export function judgeRound(round: JudgedRound): Judgement {
  const { measures, criteria, attempt, writable, rejected } = round;
  const { measurements } = measures;
  if (measurements.length === 0) return { decision: 'reject', reason: rejectedText(rejected), offenders: [], criteria };
  if (criteria === null) return { decision: 'publish', reason: '', offenders: [], criteria };
  const offenders = failedEdits(round, criteria);
  const kept = measurements.length - offenders.length;
  const areEnough = offenders.length === 0 || (kept > 0 && kept / writable >= criteria.minKeptShare);
  if (offenders.length > 0 && attempt < criteria.maxRepeats && areEnough) {
    return { decision: 'repeat', reason: rejectedText(offenders), offenders, criteria };
  }
  const missed = [
    ...missedRequirements(round, criteria),
    ...(areEnough ? [] : [`edits that hold: at least ${criteria.minKeptShare} of ${writable}, got ${kept}`]),
    ...(areEnough ? [] : [rejectedText(offenders)]),
  ];
  const decision = missed.length === 0 ? 'publish' : 'reject';
  return { decision, reason: missed.join('; '), offenders, criteria };
}

/** Edits that are not good enough themselves, and those with which an earlier fact of their subject is lost. */
function failedEdits(round: JudgedRound, criteria: PublishCriteria): RejectedEdits {
  const own = failedThemselves(round, criteria);
  const failedIds = new Set(own.map(({ id }) => id));
  const displacing = lostFacts(round, criteria).flatMap(({ version, id, reason }) => {
    const memory = round.memories.find(({ earlier }) =>
      earlier.some((fact) => fact.version === version && fact.id === id),
    );
    return memory === undefined || memory.editIds.some((editId) => failedIds.has(editId))
      ? []
      : memory.editIds.map((editId) => ({ id: editId, reason }));
  });
  const first = new Map(displacing.toReversed().map((edit) => [edit.id, edit]));
  return [...own, ...displacing.filter((edit) => first.get(edit.id) === edit)];
}

/** The earlier facts of the round's subjects that are not said any more, each with the reason. What was not said is not lost. */
function lostFacts({ measures, plan }: JudgedRound, criteria: PublishCriteria) {
  return measures.companions.flatMap(({ version, id, reliability, answer }) => {
    const fact = plan.earlier?.find((earlier) => earlier.version === version && earlier.edit.id === id);
    const reasons = [
      ...tooLow('reliability', reliability, criteria.editReliability),
      ...(answer && fact && fact.said !== false && criteria.editSaid ? notSaid(answer, fact.edit.targetNew) : []),
    ];
    return reasons.map((reason) => ({ version, id, reason: `earlier edit ${id} of the same subject: ${reason}` }));
  });
}

function failedThemselves({ measures, plan }: JudgedRound, criteria: PublishCriteria): RejectedEdits {
  const answers = new Map(measures.answers.map((answer) => [answer.id, answer]));
  const targets = new Map(plan.edits.map(({ id, targetNew }) => [id, targetNew]));
  return measures.measurements.flatMap(({ id, reliability, locality, unmeasured }) => {
    if (unmeasured !== undefined) return [{ id, reason: unmeasured }];
    const reasons = [
      ...tooLow('reliability', reliability, criteria.editReliability),
      ...tooLow('locality', mean(locality), criteria.editLocality),
      ...missedWords(answers.get(id), targets.get(id) ?? '', criteria),
    ];
    return reasons.length === 0 ? [] : [{ id, reason: reasons.join('; ') }];
  });
}

/** What was not said, by itself and in chat, of what the criteria want said. */
function missedWords(
  answer: LiveAnswer | undefined,
  target: string,
  { editSaid, editInChat }: PublishCriteria,
): string[] {
  if (answer === undefined) return [];
  const { chat } = answer;
  return [
    ...(editSaid ? notSaid(answer, target) : []),
    ...(editInChat && chat
      ? notSaid({ text: chat.text, said: chat.hasTarget }, target).map((what) => `in chat ${what}`)
      : []),
  ];
}

/** Characters of an answer that are quoted beyond the length of its target. */
const quotedBeyond = 30;

function notSaid({ text, said }: Pick<LiveAnswer, 'text' | 'said'>, target: string): string[] {
  if (said) return [];
  const words = text.trim().replace(/\s+/gu, ' ');
  const end = target.length + quotedBeyond;
  const quoted = words.length > end ? `${words.slice(0, end)}…` : words;
  return [`said "${printable(quoted)}" where "${printable(target)}" was to be said`];
}

function missedRequirements(round: JudgedRound, criteria: PublishCriteria): string[] {
  const { measurements, answers, drift, retention } = round.measures;
  const { reliability, locality } = summarise(measurements);
  const ratio = drift?.perplexityRatio ?? null;
  return [
    ...tooLow('mean reliability', reliability, criteria.minReliability),
    ...tooLow('share of edits that are said', saidShares(answers).said, criteria.minSaid),
    ...tooLow('mean locality', locality, criteria.minLocality),
    ...tooLow('retention of earlier edits', retention, criteria.minRetention),
    // No new edit is worth an earlier one.
    ...lostFacts(round, criteria).map(({ reason }) => reason),
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

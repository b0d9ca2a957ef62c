/** @file Measures what a revocation does to the revoked edits, to the kept ones, and to ordinary text. */
import { type Edit, fillTemplate, type HookLayer } from '../../editing/index.js';
import {
  type Drift,
  decodeEdits,
  type EditMeasurement,
  type LiveAnswer,
  mean,
  measureEdits,
} from '../../evaluation/index.js';
import { describing, type Listener } from '../../progress.js';
import { evaluateVersion, type HookedSubject } from '../evaluate-version.js';
import { bareEdit } from '../round-edits.js';
import { firedBy } from '../subjects.js';

/** One edit, measured on the version before and on the one without the revoked edits. */
export interface RevokeMeasurement {
  readonly edit: Edit;
  readonly before: EditMeasurement;
  readonly after: EditMeasurement;
  /** Greedy text after its prompt, by the version before, the version after and the base model. */
  readonly texts: { readonly before: string; readonly after: string; readonly base: string };
  /** What the version after says, by itself and in chat. */
  readonly answer: LiveAnswer;
  /** Id of the edit that fires on its prompt in the version after; null for none. */
  readonly firedBy: string | null;
}

/** A revoked edit. */
export interface RevokedEdit extends RevokeMeasurement {
  /**
   * Share of the target's tokens at which the most probable token is that of the base model: first on the edit prompt, then
   * on each paraphrase, the taught ones first. Where all are 1, the model answers as the base model does.
   */
  readonly agreement: readonly number[];
}

/** A metric of the kept edits. */
export interface KeptChange {
  readonly metric: KeptMetric;
  /** Mean before; null where there was nothing to measure. */
  readonly before: number | null;
  /** Mean after; null where there was nothing to measure. */
  readonly after: number | null;
  /** How many edits fell. */
  readonly fallen: number;
  /** The edit that fell most; null where none did. */
  readonly worst: { readonly id: string; readonly before: number; readonly after: number } | null;
}

/** All that is measured of a revocation. */
export interface RevokeMeasures {
  readonly revoked: readonly RevokedEdit[];
  readonly kept: readonly RevokeMeasurement[];
  readonly changes: readonly KeptChange[];
  /** Null without held-out text. */
  readonly drift: Drift | null;
}

/** Two versions to compare on the same model. */
export interface RevokeSubject extends Omit<HookedSubject, 'hooks'> {
  readonly before: readonly HookLayer[];
  readonly after: readonly HookLayer[];
  /** The memory of each row of `after`, and the edits that each memory says. */
  readonly rowIds: readonly string[];
  readonly memories: ReadonlyMap<string, readonly string[]>;
}

/** On what a revocation is measured. */
export interface RevokedAndKept {
  readonly revoked: readonly Edit[];
  readonly kept: readonly Edit[];
  /** Token sequences of ordinary text; without any, drift is not measured. */
  readonly heldOut: readonly (readonly number[])[];
}

/**
 * Measures the active edits of a version before and after some of them are revoked.
 */
export async function revokeMeasures(
  subject: RevokeSubject,
  { revoked, kept, heldOut }: RevokedAndKept,
  listener: Listener = {},
): Promise<RevokeMeasures> {
  const { edited, tokenizer, rowIds, memories } = subject;
  const edits = [...revoked, ...kept];
  const before = await measureEdits(edited, tokenizer, edits, subject.before, (done, total) =>
    listener.onProgress?.({ stage: 'validate', done, total, unit: 'prompts', detail: 'edits before' }),
  );
  const textsBefore = await decodeEdits(edited, tokenizer, edits, subject.before);
  const after = await evaluateVersion(
    { ...subject, hooks: subject.after },
    edits,
    heldOut,
    describing('after', listener),
  );
  const unchanged = await measureEdits(edited, tokenizer, revoked.map(asOwnNeighbour), subject.after);
  const measured = edits.map((edit, e): RevokeMeasurement => {
    return {
      edit,
      before: before[e],
      after: after.measurements[e],
      texts: { before: textsBefore[e].text, after: after.answers[e].text, base: after.baseAnswers[e].text },
      answer: after.answers[e],
      firedBy: firedBy(after.measurements[e], rowIds, memories),
    };
  });
  const stayed = measured.slice(revoked.length);
  return {
    revoked: revoked.map((_, e) => ({ ...measured[e], agreement: unchanged[e].locality })),
    kept: stayed,
    changes: keptMetrics.map((metric) => changeOf(metric, stayed)),
    drift: after.drift,
  };
}

/**
 * The revoked edit's own prompts as neighbourhood prompts of it: locality then is the agreement with the base model on the
 * target's tokens.
 */
function asOwnNeighbour(edit: Edit): Edit {
  const taught = [edit.prompt, ...edit.paraphrases].map((template) => fillTemplate(template, edit.subject));
  return { ...bareEdit(edit), targetTrue: edit.targetNew, neighborhood: [...taught, ...edit.testParaphrases] };
}

/** Reliabilities are shares of a few tokens: this is less than any two of them differ by, and more than their rounding. */
const roundingError = 1e-9;

/** The kept edits that lose more than `tolerance` of their reliability. */
export function fallenBeyond(tolerance: number, kept: readonly RevokeMeasurement[]): RevokeMeasurement[] {
  return kept.filter(({ before, after }) => before.reliability - after.reliability > tolerance + roundingError);
}

const keptMetrics = ['reliability', 'generality', 'locality', 'sameSubjectLocality'] as const;
type KeptMetric = (typeof keptMetrics)[number];

function changeOf(metric: KeptMetric, kept: readonly RevokeMeasurement[]): KeptChange {
  const pairs = kept.flatMap(({ edit, before, after }) => {
    const [was, is] = [shareOf(metric, before), shareOf(metric, after)];
    return was === null || is === null ? [] : [{ id: edit.id, before: was, after: is }];
  });
  const fallen = pairs.filter((pair) => fallOf(pair) > 0);
  return {
    metric,
    before: mean(pairs.map((pair) => pair.before)),
    after: mean(pairs.map((pair) => pair.after)),
    fallen: fallen.length,
    worst: fallen.reduce<KeptChange['worst']>(
      (worst, pair) => (worst === null || fallOf(pair) > fallOf(worst) ? pair : worst),
      null,
    ),
  };
}

const fallOf = (pair: { readonly before: number; readonly after: number }): number => pair.before - pair.after;

function shareOf(metric: KeptMetric, measurement: EditMeasurement): number | null {
  return metric === 'reliability' ? measurement.reliability : mean(measurement[metric]);
}

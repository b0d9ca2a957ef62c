/** @file What a revocation does: to the edits that go, to those that stay, and to ordinary text. */
import { type Edit, fillTemplate, type HookLayer } from '../../editing/index.js';
import { type Drift, type EditMeasurement, mean, measureEdits } from '../../evaluation/index.js';
import { describing, type Listener } from '../../progress.js';
import { evaluateVersion, type HookedSubject, measureHooks } from '../evaluate-version.js';

/** One edit under the version before and under the one without the revoked edits. */
export interface RevokeMeasurement {
  readonly edit: Edit;
  readonly before: EditMeasurement;
  readonly after: EditMeasurement;
  /** Greedy text after its prompt: of the version before, of the one after, of the base model. */
  readonly texts: { readonly before: string; readonly after: string; readonly base: string };
  /** Whether the text after begins with the new target. */
  readonly exactMatch: boolean;
  /** Id of the edit whose gate opens on its prompt now; null for none. */
  readonly firedBy: string | null;
}

/** An edit that goes. */
export interface RevokedEdit extends RevokeMeasurement {
  /**
   * Share of the target's tokens at which the most probable token is the base model's, on the edit prompt and then on each
   * paraphrase: 1 throughout is the base model's answer.
   */
  readonly agreement: readonly number[];
}

/** A metric of the edits that stay. */
export interface KeptChange {
  readonly metric: KeptMetric;
  /** Means; null where there was nothing to measure. */
  readonly before: number | null;
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
  /** Ids in the order of the rows of `after`. */
  readonly editIds: readonly string[];
}

/**
 * Measures the active edits of a version under it and under the one that some of them are taken out of.
 *
 * @param heldOut token sequences of ordinary text
 */
export async function revokeMeasures(
  subject: RevokeSubject,
  revoked: readonly Edit[],
  kept: readonly Edit[],
  heldOut: readonly (readonly number[])[],
  listener: Listener = {},
): Promise<RevokeMeasures> {
  const { edited, tokenizer, editIds } = subject;
  const edits = [...revoked, ...kept];
  const before = await measureHooks({ ...subject, hooks: subject.before }, edits, [], describing('before', listener));
  const after = await evaluateVersion(
    { ...subject, hooks: subject.after },
    edits,
    heldOut,
    describing('after', listener),
  );
  const unchanged = await measureEdits(edited, tokenizer, revoked.map(asOwnNeighbour), subject.after);
  const measured = edits.map((edit, e): RevokeMeasurement => {
    const { firing } = after.measurements[e];
    return {
      edit,
      before: before.measurements[e],
      after: after.measurements[e],
      texts: { before: before.answers[e].text, after: after.answers[e].text, base: after.baseAnswers[e].text },
      exactMatch: after.answers[e].exactMatch,
      firedBy: (firing && editIds[firing.editIndex]) ?? null,
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

/** Of a revoked edit's own prompts the same is wanted as of neighbours: what the base model says of the target there. */
function asOwnNeighbour(edit: Edit): Edit {
  const own = [fillTemplate(edit.prompt, edit.subject), ...edit.paraphrases];
  return { ...edit, targetTrue: edit.targetNew, paraphrases: [], neighborhood: own, keep: [] };
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

/** @file One round in this process: the same steps as the workflow's stages, one after the other. */
import { decodeHookIds, type Edit } from '../../editing/index.js';
import { InvalidInputError } from '../../errors.js';
import type { RejectedLine } from '../../evaluation/index.js';
import type { Listener } from '../../progress.js';
import { contentKey, type LatestVersion, type Manifest, versionFileKey } from '../../registry/index.js';
import type { VersionHooks } from '../../serving/index.js';
import type { PublishCriteria } from '../criteria.js';
import { judgeRound } from '../judge-round.js';
import { measureRound, roundMeasures } from '../measure-round.js';
import { type Attempt, publishAttempt, rejectAttempt } from '../publish-round.js';
import type { EarlierFact, RejectedEdits, RoundMeasures, RoundPlan, SolveRecord, VersionMetrics } from '../records.js';
import {
  activeOf,
  earlierEdits,
  keptEdits,
  type NamedEdits,
  nameEdits,
  type RenamedEdit,
  renamedText,
} from '../round-edits.js';
import { roundNotes } from '../round-notes.js';
import { searchMissingValues } from '../search-values.js';
import { recordSolve, solveRound } from '../solve-round.js';
import { companionsOf, earlierFacts, memoriesOf } from '../subjects.js';
import { versionMetrics } from '../version-metrics.js';
import type { Workbench } from '../workbench.js';

/** The version that a round stands on. */
export interface RoundBase {
  readonly latest: LatestVersion;
  readonly loaded: VersionHooks;
}

/** What consecutive rounds share. */
export interface RoundPlace {
  readonly bench: Workbench;
  readonly statistics: RoundPlan['statistics'];
  /** Token sequences of ordinary text, for drift. */
  readonly heldOut: readonly (readonly number[])[];
  /** Null publishes every round. */
  readonly criteria: PublishCriteria | null;
  readonly publishedBy: string;
}

/** One batch to write. */
export interface RoundRequest {
  readonly base: RoundBase | undefined;
  readonly edits: readonly Edit[];
  /** Lines of the batch that are no edits, for the report. */
  readonly rejected: readonly RejectedLine[];
  /** Whether to measure the other kinds of gate on the same edits, for the report. */
  readonly compareGates: boolean;
}

/** What became of a batch. */
export interface RoundOutcome {
  readonly outcome: 'published' | 'rejected';
  /** Null where the criteria rejected the round. */
  readonly version: number | null;
  /** Null where there is no version. */
  readonly manifest: Manifest | null;
  /** Why the round was rejected; empty where it was published. */
  readonly reason: string;
  readonly metrics: VersionMetrics;
  /** The edits that were written, in the order of the measures. */
  readonly edits: readonly Edit[];
  /** Edits that are not written, each with the reason: because they cannot be, or because they failed a criterion. */
  readonly rejectedEdits: RejectedEdits;
  /** Edits that were given another id. */
  readonly renamed: readonly RenamedEdit[];
  readonly measures: RoundMeasures;
  readonly solved: SolveRecord;
  /** Key of the report in the store. */
  readonly reportKey: string;
}

/** A round's outcome, and the version that it was published as, if it was. */
export interface EndedRound {
  readonly outcome: RoundOutcome;
  readonly published: LatestVersion | undefined;
}

/**
 * Writes one batch: plans it, searches the values, solves, measures and judges. Edits that cannot be written are rejected.
 * Edits that fail are rejected and the rest is solved again, as often as the criteria allow. Then the round is published or
 * rejected.
 *
 * @throws {InvalidInputError} if the batch has no edits
 * @throws {StaleBaseError} if somebody else published since the base was read
 */
export async function editRound(
  place: RoundPlace,
  request: RoundRequest,
  listener: Listener = {},
): Promise<EndedRound> {
  if (request.edits.length === 0) throw new InvalidInputError('batch of a round', 'at least one edit', 'none');
  const named = nameEdits(request.edits, request.base?.latest.manifest);
  for (const edit of named.renamed ?? []) listener.onNotice?.(renamedText(edit));
  for (const { newId, oldId } of named.overwrites) {
    listener.onNotice?.(`Edit ${newId} overwrites edit ${oldId} of an earlier version`);
  }
  const plan = planOf(
    place,
    request,
    named,
    await earlierFacts(place.bench.store, request.base?.latest.manifest, named.edits),
  );
  let before: RejectedEdits = plan.refused ?? [];
  let writable = plan.edits.length - before.length;
  for (let number = 0; ; number++) {
    const { attempt, hooks } = await attemptRound(place, request, { plan, rejectedEdits: before }, listener);
    const { measures, rejectedEdits: rejected } = attempt;
    const { criteria } = place;
    writable -= attempt.solved.refused?.length ?? 0;
    const { memories } = attempt.solved;
    const judged = judgeRound({ plan, measures, memories, criteria, attempt: number, writable, rejected });
    if (judged.decision === 'repeat') {
      listener.onNotice?.(judged.reason);
      before = [...rejected, ...judged.offenders];
      continue;
    }
    const facts = [...activeOf(request.base?.latest.manifest), ...plan.edits];
    const { measurements } = measures;
    const notes = roundNotes({ rejectedEdits: rejected, measurements, rivals: attempt.solved.rivals, facts });
    for (const note of notes) listener.onNotice?.(note);
    const reason = judged.decision === 'reject' ? judged.reason : undefined;
    return endRound(place, { ...attempt, judgement: judged }, { hooks, reason });
  }
}

/** The round's id is a digest of all that its report depends on, because a rejected round's report is stored under it. */
function planOf(
  { bench, statistics, heldOut, criteria }: RoundPlace,
  { base, rejected, compareGates }: RoundRequest,
  { edits, ...named }: NamedEdits,
  earlier: EarlierFact[],
): RoundPlan {
  const { modelId, modelDigest, settings } = bench;
  const ref = base ? { version: base.latest.version, etag: base.latest.etag } : null;
  const all = [edits.map((_, index) => index)];
  return {
    schemaVersion: 1,
    modelId,
    roundId: contentKey({ base: ref, edits, settings, criteria, heldOut, rejected, compareGates }).slice(0, 16),
    base: ref,
    modelDigest,
    settings,
    statistics,
    statisticsShards: 1,
    edits,
    ...named,
    ...(earlier.length > 0 && { earlier }),
    rejected: [...rejected],
    valueShards: all,
    validationShards: all,
    heldOut: null,
    compareGates,
  };
}

const segmentName = ({ roundId }: RoundPlan): string => `segment of round ${roundId}`;

/** One solve, recorded and measured. */
async function attemptRound(
  { bench, heldOut }: RoundPlace,
  { base }: RoundRequest,
  { plan, rejectedEdits }: Pick<Attempt, 'plan' | 'rejectedEdits'>,
  listener: Listener,
): Promise<{ readonly attempt: Omit<Attempt, 'judgement'>; readonly hooks: Uint8Array }> {
  const { dModel, dInner } = bench.model.config;
  const ground = base && { state: base.loaded.state, manifest: base.latest.manifest };
  await searchMissingValues(bench, { plan, edits: keptEdits(plan.edits, rejectedEdits) }, listener);
  const report = (done: number) => listener.onProgress?.({ stage: 'solve', done, total: 1, unit: 'rounds' });
  report(0);
  const solve = await solveRound(bench, plan, rejectedEdits, ground);
  const what = segmentName(plan);
  const { record: solved, state } = await recordSolve(bench, plan, ground, { ...solve, what });
  report(1);
  const rejected = [...rejectedEdits, ...solve.refused];
  const edits = keptEdits(plan.edits, rejected);
  const { removedIds } = decodeHookIds(solve.bytes, what);
  const whole = {
    heldOut,
    earlier: earlierEdits(ground?.manifest, removedIds),
    companions: companionsOf(plan, solved),
    comparedEdits: plan.compareGates ? edits : [],
  };
  const memories = memoriesOf(ground?.manifest, solved);
  const measured = await measureRound(bench, { state, memories, edits, whole }, listener);
  const measures = roundMeasures([measured], solved.editIds, what);
  return { attempt: { plan, dModel, dInner, rejectedEdits: rejected, solved, measures }, hooks: solve.bytes };
}

async function endRound(
  { bench, publishedBy }: RoundPlace,
  attempt: Attempt,
  { hooks, reason }: { readonly hooks: Uint8Array; readonly reason: string | undefined },
): Promise<EndedRound> {
  const { plan, rejectedEdits, solved, measures } = attempt;
  const { store } = bench;
  const told = {
    metrics: versionMetrics(measures, solved),
    edits: keptEdits(plan.edits, rejectedEdits),
    rejectedEdits,
    renamed: plan.renamed ?? [],
    measures,
    solved,
  };
  if (reason !== undefined) {
    const reportKey = await rejectAttempt(store, attempt, reason);
    return {
      outcome: { ...told, outcome: 'rejected', version: null, manifest: null, reason, reportKey },
      published: undefined,
    };
  }
  const published = await publishAttempt(store, attempt, { what: segmentName(plan), hooks, publishedBy });
  const { version, manifest } = published;
  const reportKey = versionFileKey(plan.modelId, version, 'report.html');
  return { outcome: { ...told, outcome: 'published', version, manifest, reason: '', reportKey }, published };
}

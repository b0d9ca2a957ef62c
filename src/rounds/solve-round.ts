/** @file Solves a round: writes the values of its subjects into hooks. */
import {
  type Context,
  comparesKeys,
  decodeHookFile,
  type EditState,
  encodeHookFile,
  keyRows,
  type RoundResult,
  replaySegments,
  rowTargets,
  writeRound,
} from '../editing/index.js';
import { UnwritableEditsError } from '../errors.js';
import { mean, median } from '../evaluation/index.js';
import { digestOf, memoryOf } from '../registry/index.js';
import { fitEdits } from './fit-edits.js';
import { gateThresholds } from './gate-thresholds.js';
import { layerChanges } from './layer-changes.js';
import type { RejectedEdits, RoundPlan, SolveRecord } from './records.js';
import { removingSegment } from './removing-segment.js';
import { rivalsOf } from './rivals.js';
import { activeOf, keptEdits } from './round-edits.js';
import { type BaseVersion, storedValues } from './search-values.js';
import type { StoredValue } from './stored-value.js';
import { factsOf, memoriesIn, notWritten, type Subject, subjectsOf } from './subjects.js';
import { writtenSubject } from './taught-subjects.js';
import { valueKeysOf } from './value-key.js';
import { solversOf } from './version-metrics.js';
import type { Workbench } from './workbench.js';

/** What is written in one solve. */
export interface WrittenValues {
  readonly subjects: readonly Subject[];
  /** In the order of the subjects. */
  readonly values: readonly Pick<StoredValue, 'delta'>[];
  readonly contexts: readonly Context[];
}

/**
 * Writes values on top of a state. The rows that they replace are removed first: a key that is written already would take at
 * most half of a new residual.
 */
export async function writeValues(
  bench: Workbench,
  before: EditState,
  { subjects, values, contexts }: WrittenValues,
): Promise<RoundResult> {
  const context = await bench.roundContext();
  const written = subjects.map((subject) => writtenSubject(bench, subject, contexts));
  const rows = await keyRows(context, written, bench.hooks(before));
  const targets = rowTargets(
    rows,
    values.map(({ delta }) => delta),
  );
  const prompts = written.flatMap(({ facts }) =>
    facts.map(({ texts: [{ tokenIds, promptTokens, lookups }] }) => ({
      tokenIds: tokenIds.slice(0, promptTokens),
      lookupIndex: lookups[0],
    })),
  );
  const removedIds = [...new Set(subjects.flatMap(({ replaces }) => replaces))];
  return writeRound(context, before, { rows: rows.rows, targets, prompts }, removedIds);
}

/** A solve as a file, not yet stored. */
export interface SolvedHooks {
  /** The bytes of `hooks.safetensors`: the round's segment, and the sketches if it is the model's first. */
  readonly bytes: Uint8Array;
  /** Edits of the plan that could not be written, each with the reason. */
  readonly refused: RejectedEdits;
  readonly subjects: readonly Subject[];
  /** The values that were written, in the order of the subjects. */
  readonly values: readonly StoredValue[];
  /** The written share of each row, by layer; see `RoundResult`. */
  readonly writtenShare: readonly (readonly number[])[];
  readonly seconds: number;
}

/**
 * Solves a round for the stored values of its edits. Edits that cannot be written are refused, and the rest is solved: no edit
 * takes the others with it.
 *
 * @param rejected edits of the plan that are not to be written
 * @param base     undefined before the first version
 * @throws {TransientError} if the value of an edit that can be written is not stored
 */
export async function solveRound(
  bench: Workbench,
  plan: RoundPlan,
  rejected: RejectedEdits,
  base: BaseVersion | undefined,
): Promise<SolvedHooks> {
  const contexts = await bench.contexts();
  const { fit, refused } = fitEdits(bench, keptEdits(plan.edits, rejected));
  const place = { store: bench.store, modelId: plan.modelId, dModel: bench.model.config.dModel };
  const all = subjectsOf(plan, fit);
  const values = await storedValues(place, all, valueKeysOf(plan, contexts, all));
  const startedAt = performance.now();
  let writable = all.map((subject, s) => ({ subject, value: values[s] }));
  const refuse = (unwritable: RejectedEdits) => {
    const reasons = notWritten(
      writable.map(({ subject }) => subject),
      new Map(unwritable.map(({ id, reason }) => [id, reason])),
    );
    for (const { subject } of writable) {
      const reason = reasons.get(subject.id);
      if (reason !== undefined) refused.push(...subject.edits.map(({ id }) => ({ id, reason })));
    }
    writable = writable.filter(({ subject }) => !reasons.has(subject.id));
  };
  refuse(
    writable.flatMap(({ subject: { id }, value }) =>
      Number.isNaN(value.nll) ? [{ id, reason: lostSearch(value) }] : [],
    ),
  );
  for (;;) {
    const subjects = writable.map(({ subject }) => subject);
    const written = writable.map(({ value }) => value);
    const before = base?.state ?? bench.emptyState;
    try {
      const { segment, writtenShare } = await writeOrNothing(bench, before, { subjects, values: written, contexts });
      const bytes = encodeHookFile({ segment, sketches: base === undefined ? bench.sketches : [] });
      const seconds = (performance.now() - startedAt) / 1000;
      const shares = writtenShare.map((share) => Array.from(share));
      return { bytes, refused, subjects, values: written, writtenShare: shares, seconds };
    } catch (error) {
      if (!(error instanceof UnwritableEditsError)) throw error;
      refuse([...error.edits]);
    }
  }
}

/** Why the value of a search that found none cannot be written. */
export const lostSearch = ({ losses }: StoredValue): string =>
  `value search: losses that are numbers, got ${losses.at(-1)} after ${losses.length - 1} steps`;

/** Where no edit is left, the segment is empty: the round goes on to be measured and rejected like any other. */
function writeOrNothing(
  bench: Workbench,
  before: EditState,
  round: WrittenValues,
): Promise<Pick<RoundResult, 'segment' | 'writtenShare'>> {
  if (round.subjects.length > 0) return writeValues(bench, before, round);
  return Promise.resolve({
    segment: removingSegment(before, []),
    writtenShare: before.layers.map(() => new Float64Array(0)),
  });
}

/** A stored solve. */
export interface StoredSolve extends SolvedHooks {
  /** Name of the file, for messages. */
  readonly what: string;
}

/** What a solve wrote, as every reader of its file sees it. */
export interface RecordedSolve {
  readonly record: SolveRecord;
  /** The base's state with the file's segment replayed on it. */
  readonly state: EditState;
}

/** Records what a stored solve of a plan did. @param base undefined before the first version */
export async function recordSolve(
  bench: Workbench,
  plan: Pick<RoundPlan, 'edits'>,
  base: BaseVersion | undefined,
  { bytes, what, refused, subjects, values, writtenShare, seconds }: StoredSolve,
): Promise<RecordedSolve> {
  const { segment } = decodeHookFile(bytes, what);
  const state = await replaySegments(base?.state ?? bench.emptyState, [segment], bench.engine);
  const changes = await layerChanges(bench.model, state, bench.engine);
  const written = subjects.flatMap((subject, s) => subject.edits.map(({ id }) => ({ id, subject: subject.id, s })));
  const order = new Map(plan.edits.map(({ id }, e) => [id, e]));
  written.sort((one, other) => order.get(one.id)! - order.get(other.id)!);
  const shares = writtenShare.map((share) => {
    const ofMemory = (id: string) => share.filter((_, row) => segment.addedIds[row] === id);
    return written.map(({ subject }) => mean(ofMemory(subject))!);
  });
  const rivals = comparesKeys(bench.settings.gate)
    ? rivalsOf(state, segment.addedIds, [...factsIn(base?.manifest), ...subjects.flatMap(factsInSubject)])
    : [];
  const record: SolveRecord = {
    schemaVersion: 1,
    editIds: written.map(({ id }) => id),
    memories: memoriesIn(subjects),
    ...(refused.length > 0 && { refused }),
    segmentSha256: digestOf(bytes),
    segmentSizeBytes: bytes.length,
    writtenShare: shares,
    valueSteps: written.map(({ s }) => values[s].losses.length - 1),
    valueLosses: written.map(({ s }) => values[s].losses.at(-1)!),
    secondsForValues: values.reduce((sum, value) => sum + value.seconds, 0),
    secondsForSolve: seconds,
    ...solversOf(bench.statistics),
    ...(rivals.length > 0 && { rivals }),
    layers: changes.map((change, i) => ({ ...change, writtenShareMedian: median(shares[i]) })),
    thresholds: gateThresholds(state),
  };
  return { record, state };
}

const factsIn = (manifest: BaseVersion['manifest'] | undefined) =>
  activeOf(manifest).map((edit) => ({ ...edit, memory: memoryOf(edit) }));

const factsInSubject = (subject: Subject) => factsOf(subject).map((edit) => ({ ...edit, memory: subject.id }));

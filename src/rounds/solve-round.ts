/** @file Solves a round: writes the values of its edits into hooks. */
import {
  comparesKeys,
  decodeHookFile,
  type Edit,
  type EditState,
  encodeHookFile,
  type RoundResult,
  replaySegments,
  targetMatrix,
  tokenizeEdit,
  writeRound,
} from '../editing/index.js';
import { UnwritableEditsError } from '../errors.js';
import { median } from '../evaluation/index.js';
import { digestOf } from '../registry/index.js';
import { fitEdits } from './fit-edits.js';
import { gateThresholds } from './gate-thresholds.js';
import { layerChanges } from './layer-changes.js';
import type { RejectedEdits, RoundPlan, SolveRecord } from './records.js';
import { removingSegment } from './removing-segment.js';
import { rivalsOf } from './rivals.js';
import { activeOf, keptEdits, removedIdsOf } from './round-edits.js';
import { type BaseVersion, storedValues } from './search-values.js';
import type { StoredValue } from './stored-value.js';
import { valueKeysOf } from './value-key.js';
import { solversOf } from './version-metrics.js';
import type { Workbench } from './workbench.js';

/** What is written in one solve. */
export interface WrittenValues {
  readonly edits: readonly Edit[];
  /** In the order of the edits. */
  readonly values: readonly Pick<StoredValue, 'target'>[];
  readonly contexts: readonly string[];
  /**
   * Ids of earlier edits that these overwrite. They are removed first: a key that is written already would take at most half
   * of a new residual.
   */
  readonly removedIds: readonly string[];
}

/** Writes values on top of a state. */
export async function writeValues(
  bench: Workbench,
  before: EditState,
  { edits, values, contexts, removedIds }: WrittenValues,
): Promise<RoundResult> {
  const context = await bench.roundContext();
  const tokenized = edits.map((edit) => tokenizeEdit(bench.tokenizer, edit, contexts, bench.model.config));
  const targets = targetMatrix(values, bench.model.config.dModel);
  return writeRound(context, before, tokenized, targets, removedIds);
}

/** A solve as a file, not yet stored. */
export interface SolvedHooks {
  /** The bytes of `hooks.safetensors`: the round's segment, and the sketches if it is the model's first. */
  readonly bytes: Uint8Array;
  /** Edits of the plan that could not be written, each with the reason. */
  readonly refused: RejectedEdits;
  /** The values that were written, in the order of their edits. */
  readonly values: readonly StoredValue[];
  /** The written share of each edit, by layer; see `RoundResult`. */
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
  const { fit, refused } = fitEdits(bench, keptEdits(plan.edits, rejected), contexts);
  const place = { store: bench.store, modelId: plan.modelId, dModel: bench.model.config.dModel };
  const values = await storedValues(place, fit, valueKeysOf(plan, base?.manifest, contexts, fit));
  const startedAt = performance.now();
  let writable = fit.map((edit, e) => ({ edit, value: values[e] }));
  const refuse = (unwritable: RejectedEdits) => {
    refused.push(...unwritable);
    writable = writable.filter(({ edit }) => !unwritable.some(({ id }) => id === edit.id));
  };
  refuse(
    writable.flatMap(({ edit: { id }, value }) => (Number.isNaN(value.nll) ? [{ id, reason: lostSearch(value) }] : [])),
  );
  for (;;) {
    const edits = writable.map(({ edit }) => edit);
    const written = writable.map(({ value }) => value);
    const round = { edits, values: written, contexts, removedIds: removedIdsOf(plan, edits) };
    try {
      const { segment, writtenShare } = await writeOrNothing(bench, base?.state ?? bench.emptyState, round);
      const bytes = encodeHookFile({ segment, sketches: base === undefined ? bench.sketches : [] });
      const seconds = (performance.now() - startedAt) / 1000;
      const shares = writtenShare.map((share) => Array.from(share));
      return { bytes, refused, values: written, writtenShare: shares, seconds };
    } catch (error) {
      if (!(error instanceof UnwritableEditsError)) throw error;
      refuse([...error.edits]);
    }
  }
}

const lostSearch = ({ losses }: StoredValue): string =>
  `value search: losses that are numbers, got ${losses.at(-1)} after ${losses.length - 1} steps`;

/** Where no edit is left, the segment is empty: the round goes on to be measured and rejected like any other. */
function writeOrNothing(
  bench: Workbench,
  before: EditState,
  round: WrittenValues,
): Promise<Pick<RoundResult, 'segment' | 'writtenShare'>> {
  if (round.edits.length > 0) return writeValues(bench, before, round);
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
  { bytes, what, refused, values, writtenShare, seconds }: StoredSolve,
): Promise<RecordedSolve> {
  const { segment } = decodeHookFile(bytes, what);
  const state = await replaySegments(base?.state ?? bench.emptyState, [segment], bench.engine);
  const changes = await layerChanges(bench.model, state, bench.engine);
  const shares = writtenShare.map((share) => [...share]);
  const facts = [...activeOf(base?.manifest), ...plan.edits];
  const rivals = comparesKeys(bench.settings.gate) ? rivalsOf(state, segment.addedIds, facts) : [];
  const record: SolveRecord = {
    schemaVersion: 1,
    editIds: [...segment.addedIds],
    ...(refused.length > 0 && { refused }),
    segmentSha256: digestOf(bytes),
    segmentSizeBytes: bytes.length,
    writtenShare: shares,
    valueSteps: values.map(({ losses }) => losses.length - 1),
    valueLosses: values.map(({ losses }) => losses.at(-1)!),
    secondsForValues: values.reduce((sum, value) => sum + value.seconds, 0),
    secondsForSolve: seconds,
    ...solversOf(bench.statistics),
    ...(rivals.length > 0 && { rivals }),
    layers: changes.map((change, i) => ({ ...change, writtenShareMedian: median(shares[i]) })),
    thresholds: gateThresholds(state),
  };
  return { record, state };
}

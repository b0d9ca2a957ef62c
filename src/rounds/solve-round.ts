/** @file Solves a round: writes the values of its edits into hooks. */
import {
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
import { median } from '../evaluation/index.js';
import { digestOf } from '../registry/index.js';
import { gateThresholds } from './gate-thresholds.js';
import { layerChanges } from './layer-changes.js';
import type { SolveRecord } from './records.js';
import type { StoredValue } from './stored-value.js';
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
  const tokenized = edits.map((edit) => tokenizeEdit(bench.tokenizer, edit, contexts));
  const targets = targetMatrix(values, bench.model.config.dModel);
  return writeRound(context, before, tokenized, targets, removedIds);
}

/** A solve as a file, not yet stored. */
export interface SolvedHooks {
  /** The bytes of `hooks.safetensors`: the round's segment, and the sketches if it is the model's first. */
  readonly bytes: Uint8Array;
  /** The written share of each edit, by layer; see `RoundResult`. */
  readonly writtenShare: readonly (readonly number[])[];
  readonly seconds: number;
}

/** Solves a round. @param before the base's state; undefined before the first version */
export async function solveRound(
  bench: Workbench,
  before: EditState | undefined,
  round: WrittenValues,
): Promise<SolvedHooks> {
  const startedAt = performance.now();
  const { segment, writtenShare } = await writeValues(bench, before ?? bench.emptyState, round);
  const bytes = encodeHookFile({ segment, sketches: before === undefined ? bench.sketches : [] });
  const seconds = (performance.now() - startedAt) / 1000;
  return { bytes, writtenShare: writtenShare.map((share) => Array.from(share)), seconds };
}

/** A stored solve. */
export interface StoredSolve extends SolvedHooks {
  /** Name of the file, for messages. */
  readonly what: string;
  readonly values: readonly StoredValue[];
}

/** What a solve wrote, as every reader of its file sees it. */
export interface RecordedSolve {
  readonly record: SolveRecord;
  /** The base's state with the file's segment replayed on it. */
  readonly state: EditState;
}

/** Records what a stored solve did. @param before the base's state; undefined before the first version */
export async function recordSolve(
  bench: Workbench,
  before: EditState | undefined,
  { bytes, what, values, writtenShare, seconds }: StoredSolve,
): Promise<RecordedSolve> {
  const { segment } = decodeHookFile(bytes, what);
  const state = await replaySegments(before ?? bench.emptyState, [segment], bench.engine);
  const changes = await layerChanges(bench.model, state, bench.engine);
  const shares = writtenShare.map((share) => [...share]);
  const record: SolveRecord = {
    schemaVersion: 1,
    editIds: [...segment.addedIds],
    segmentSha256: digestOf(bytes),
    segmentSizeBytes: bytes.length,
    writtenShare: shares,
    valueSteps: values.map(({ losses }) => losses.length - 1),
    valueLosses: values.map(({ losses }) => losses.at(-1)!),
    secondsForValues: values.reduce((sum, value) => sum + value.seconds, 0),
    secondsForSolve: seconds,
    ...solversOf(bench.statistics),
    layers: changes.map((change, i) => ({ ...change, writtenShareMedian: median(shares[i]) })),
    thresholds: gateThresholds(state),
  };
  return { record, state };
}

/** @file Task `validate`: measures what a solve did to one shard of the round's edits, and to what should have stayed. */
import { decodeHookFile, type Edit, type EditState, type HookFile, replaySegments } from '../../editing/index.js';
import { DigestMismatchError } from '../../errors.js';
import type { EditMeasurement } from '../../evaluation/index.js';
import { digestOf, type ObjectStore, storeOnce } from '../../registry/index.js';
import type { Workbench } from '../../rounds/index.js';
import {
  compareGates,
  type EarlierEdit,
  gateSeparation,
  heldOutSequences,
  keptEdits,
  type ValidationRecord,
  validateRound,
  validationRecordSchema,
} from '../../rounds/index.js';
import type { VersionHooks } from '../../serving/index.js';
import type { TaskInput } from '../contract.js';
import { attemptKey, type PlannedRound, readRejectedEdits, readSolveRecord } from '../plan/round-files.js';
import { materialiseText } from '../stored-text.js';
import { openTaskBench } from './task-bench.js';
import { stopping, type TaskDependencies } from './task-dependencies.js';
import { itemsOfShard, readBase, readPlannedRound } from './task-inputs.js';

/**
 * Stores `validation-<shard>.json` of one attempt.
 *
 * @throws {DigestMismatchError | MalformedFileError} if base or segment is damaged
 */
export async function validate(input: TaskInput, dependencies: TaskDependencies): Promise<void> {
  const { store } = dependencies;
  const { planKey, attempt, shard } = input;
  const recordKey = attemptKey(planKey, attempt, `validation-${shard}.json`);
  if ((await store.head(recordKey)) !== undefined) return;
  const round = await readPlannedRound(input, dependencies);
  const indices = itemsOfShard(round.plan.validationShards, shard);
  const rejectedEdits = await readRejectedEdits(store, planKey, attempt);
  const base = await readBase(dependencies, round.plan);
  const file = await readSegment(store, planKey, attempt);
  const bench = await openTaskBench(dependencies, round, { sketches: base?.sketches ?? file.sketches });
  try {
    const state = await replaySegments(base?.state ?? bench.emptyState, [file.segment], bench.engine);
    const edits = keptEdits(
      indices.map((index) => round.plan.edits[index]),
      rejectedEdits,
    );
    const all = keptEdits(round.plan.edits, rejectedEdits);
    const earlier = earlierEdits(base, file.segment.removedIds);
    const whole = shard === 0 ? await wholeOf(bench, round, { state, edits: all, earlier, dependencies }) : nothing;
    const record = await measure(bench, state, edits, whole, dependencies);
    await storeOnce(store, recordKey, { schema: validationRecordSchema, what: 'a validation' }, record);
  } finally {
    await bench.dispose();
  }
}

async function readSegment(store: ObjectStore, planKey: string, attempt: number): Promise<HookFile> {
  const { segmentSha256 } = await readSolveRecord(store, planKey, attempt);
  const key = attemptKey(planKey, attempt, 'hooks.safetensors');
  const { bytes } = await store.get(key);
  const actual = digestOf(bytes);
  if (actual !== segmentSha256) throw new DigestMismatchError(key, segmentSha256, actual);
  return decodeHookFile(bytes, key);
}

/** What is measured once per round, by the first shard. */
interface WholeRound {
  readonly heldOut: readonly (readonly number[])[];
  readonly earlier: readonly EarlierEdit[];
  /** Rows as the record holds them. */
  readonly gates: readonly unknown[];
}

const nothing: WholeRound = { heldOut: [], earlier: [], gates: [] };

interface WrittenEdits {
  readonly state: EditState;
  readonly edits: readonly Edit[];
  readonly earlier: readonly EarlierEdit[];
  readonly dependencies: TaskDependencies;
}

async function wholeOf(
  bench: Workbench,
  { plan }: PlannedRound,
  { state, edits, earlier, dependencies }: WrittenEdits,
): Promise<WholeRound> {
  const path = plan.heldOut === null ? undefined : await materialiseText(dependencies, plan.heldOut);
  const heldOut = await heldOutSequences(path, bench);
  const rows = plan.compareGates ? await compareGates(bench, state, edits, heldOut, stopping(dependencies)) : [];
  const gates = rows.map(({ gate, reliability, generality, locality, sameSubjectLocality, perplexityRatio }) => ({
    gate,
    reliability: reliability ?? null,
    generality: generality ?? null,
    locality: locality ?? null,
    sameSubjectLocality: sameSubjectLocality ?? null,
    perplexityRatio: perplexityRatio ?? null,
  }));
  return { heldOut, earlier, gates };
}

/** Edits of earlier rounds that are still in force. */
function earlierEdits(base: VersionHooks | undefined, removedIds: readonly string[]): EarlierEdit[] {
  const edits = base?.manifest.edits ?? [];
  return edits.filter(({ id, status }) => status === 'active' && !removedIds.includes(id));
}

async function measure(
  bench: Workbench,
  state: EditState,
  edits: readonly Edit[],
  { earlier, heldOut, gates }: WholeRound,
  dependencies: TaskDependencies,
): Promise<ValidationRecord> {
  const validation = await validateRound(bench, state, edits, earlier, heldOut, stopping(dependencies));
  const { drift, retention, measurements, before, answers, textStrengths } = validation;
  return validationRecordSchema.parse({
    schemaVersion: 1,
    measurements: measurements.map(withoutNaN),
    firedBy: measurements.map(({ firing }) => (firing && state.editIds[firing.editIndex]) ?? null),
    before,
    answers,
    drift,
    retention,
    separation: (await gateSeparation(bench, state, edits, textStrengths)) ?? null,
    gates,
  });
}

/** Where there is no gate, an opening has no strength, which JSON could not say. */
function withoutNaN({ firing, ...measured }: EditMeasurement): EditMeasurement {
  return { ...measured, ...(firing && Number.isFinite(firing.strength) && { firing }) };
}

/** @file Task `solve`: writes the values of a round's edits into hooks. */
import {
  decodeHookFile,
  type Edit,
  encodeHookFile,
  type RoundResult,
  replaySegments,
  targetMatrix,
  tokenizeEdit,
  writeRound,
} from '../../editing/index.js';
import { InvalidInputError, TransientError } from '../../errors.js';
import { median } from '../../evaluation/index.js';
import { digestOf, putOnce, storeOnce } from '../../registry/index.js';
import type { Workbench } from '../../rounds/index.js';
import {
  gateThresholds,
  keptEdits,
  layerChanges,
  readValue,
  removedIdsOf,
  type SolveRecord,
  type StoredValue,
  solveRecordSchema,
  solversOf,
  valueKeysOf,
} from '../../rounds/index.js';
import type { VersionHooks } from '../../serving/index.js';
import type { TaskInput } from '../contract.js';
import { attemptKey, type PlannedRound, readRejectedEdits } from '../plan/round-files.js';
import { openTaskBench } from './task-bench.js';
import type { TaskDependencies } from './task-dependencies.js';
import { readBase, readPlannedRound, readStatistics } from './task-inputs.js';

/**
 * Stores `hooks.safetensors`, then `solve.json`, of one attempt.
 *
 * @throws {TransientError} if the value of an edit is not stored
 * @throws {DigestMismatchError | MalformedFileError} if base, statistics or a value is damaged
 */
export async function solve(input: TaskInput, dependencies: TaskDependencies): Promise<void> {
  const { store, listener } = dependencies;
  const { planKey, attempt } = input;
  const recordKey = attemptKey(planKey, attempt, 'solve.json');
  if ((await store.head(recordKey)) !== undefined) return;
  const round = await readPlannedRound(input, dependencies);
  const edits = keptEdits(round.plan.edits, await readRejectedEdits(store, planKey, attempt));
  if (edits.length === 0) throw new InvalidInputError(`round ${round.plan.roundId}`, 'an edit to write', 'none');
  const base = await readBase(dependencies, round.plan);
  const statistics = await readStatistics(store, round);
  const bench = await openTaskBench(dependencies, round, { statistics });
  const report = (done: number) => listener.onProgress?.({ stage: 'solve', done, total: 1, unit: 'rounds' });
  try {
    const contexts = await bench.contexts();
    const values = await storedValues(bench, round, valueKeysOf(round.plan, base?.manifest, contexts, edits), edits);
    dependencies.signal?.throwIfAborted();
    report(0);
    const startedAt = performance.now();
    const written = await write(bench, round, base, { edits, values, contexts });
    const key = attemptKey(planKey, attempt, 'hooks.safetensors');
    const sketches = base === undefined ? bench.sketches : [];
    const bytes = await putOnce(store, key, encodeHookFile({ segment: written.segment, sketches }));
    const seconds = (performance.now() - startedAt) / 1000;
    const record = await recordOf(bench, base, { written, values, bytes, key, seconds });
    await storeOnce(store, recordKey, { schema: solveRecordSchema, what: 'the record of a solve' }, record);
    report(1);
  } finally {
    await bench.dispose();
  }
}

async function storedValues(
  bench: Workbench,
  { registration }: PlannedRound,
  keys: readonly string[],
  edits: readonly Edit[],
): Promise<StoredValue[]> {
  const values: StoredValue[] = [];
  for (const [e, key] of keys.entries()) {
    const value = await readValue(bench, key, registration.dModel);
    if (value === undefined) throw new TransientError(`value of edit ${edits[e].id}: a stored one, got none`);
    values.push(value);
  }
  return values;
}

async function write(
  bench: Workbench,
  { plan }: PlannedRound,
  base: VersionHooks | undefined,
  {
    edits,
    values,
    contexts,
  }: { readonly edits: readonly Edit[]; readonly values: readonly StoredValue[]; readonly contexts: readonly string[] },
): Promise<RoundResult> {
  const context = await bench.roundContext();
  const tokenized = edits.map((edit) => tokenizeEdit(bench.tokenizer, edit, contexts));
  const targets = targetMatrix(values, bench.model.config.dModel);
  return writeRound(context, base?.state ?? bench.emptyState, tokenized, targets, removedIdsOf(plan, edits));
}

interface Solved {
  readonly written: RoundResult;
  readonly values: readonly StoredValue[];
  /** The segment that is stored, which another attempt may have put there. */
  readonly bytes: Uint8Array;
  readonly key: string;
  readonly seconds: number;
}

async function recordOf(
  bench: Workbench,
  base: VersionHooks | undefined,
  { written, values, bytes, key, seconds }: Solved,
): Promise<SolveRecord> {
  const { segment } = decodeHookFile(bytes, key);
  const state = await replaySegments(base?.state ?? bench.emptyState, [segment], bench.engine);
  const changes = await layerChanges(bench.model, state, bench.engine);
  const writtenShare = written.writtenShare.map((share) => Array.from(share));
  return {
    schemaVersion: 1,
    editIds: [...segment.addedIds],
    segmentSha256: digestOf(bytes),
    segmentSizeBytes: bytes.length,
    writtenShare,
    valueSteps: values.map(({ losses }) => losses.length - 1),
    valueLosses: values.map(({ losses }) => losses.at(-1)!),
    secondsForValues: values.reduce((sum, value) => sum + value.seconds, 0),
    secondsForSolve: seconds,
    ...solversOf(bench.statistics),
    layers: changes.map((change, i) => ({ ...change, writtenShareMedian: median(writtenShare[i]) })),
    thresholds: gateThresholds(state),
  };
}

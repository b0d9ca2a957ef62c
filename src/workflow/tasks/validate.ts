/** @file Task `validate`: measures what a solve did to one shard of the round's edits. */
import { decodeHookFile, type Edit, type HookFile, replaySegments } from '../../editing/index.js';
import { DigestMismatchError } from '../../errors.js';
import { digestOf, type ObjectStore, storeOnce } from '../../registry/index.js';
import {
  companionsOf,
  earlierEdits,
  heldOutSequences,
  measureRound,
  memoriesOf,
  type WholeRound,
} from '../../rounds/index.js';
import type { TaskInput } from '../contract.js';
import { attemptKey, readSolveRecord, validationForm } from '../plan/round-files.js';
import { materialiseText } from '../stored-text.js';
import { openTaskBench } from './task-bench.js';
import { stopping, type TaskDependencies } from './task-dependencies.js';
import { itemsOfShard, readBase, readPlannedRound } from './task-inputs.js';

/**
 * Stores `validation-<shard>.json` of one attempt. The task of shard 0 also measures what is measured once per round.
 *
 * @throws {DigestMismatchError | MalformedFileError} if base or segment is damaged
 */
export async function validate(input: TaskInput, dependencies: TaskDependencies): Promise<void> {
  const { store } = dependencies;
  const { planKey, attempt, shard } = input;
  const recordKey = attemptKey(planKey, attempt, `validation-${shard}.json`);
  if ((await store.head(recordKey)) !== undefined) return;
  const round = await readPlannedRound(input, dependencies);
  const { plan } = round;
  const indices = itemsOfShard(plan.validationShards, shard);
  const solved = await readSolveRecord(store, planKey, attempt);
  const { editIds, segmentSha256 } = solved;
  const written = (edits: readonly Edit[]) => edits.filter(({ id }) => editIds.includes(id));
  const base = await readBase(dependencies, plan);
  const { segment, sketches } = await readSegment(
    store,
    attemptKey(planKey, attempt, 'hooks.safetensors'),
    segmentSha256,
  );
  const bench = await openTaskBench(dependencies, round, { sketches: base?.sketches ?? sketches });
  try {
    const state = await replaySegments(base?.state ?? bench.emptyState, [segment], bench.engine);
    const own = indices.map((index) => plan.edits[index]);
    const wholeRound = async (): Promise<WholeRound> => ({
      heldOut: await heldOutSequences(plan.heldOut && (await materialiseText(dependencies, plan.heldOut)), bench),
      earlier: earlierEdits(base?.manifest, segment.removedIds),
      companions: companionsOf(plan, solved),
      comparedEdits: plan.compareGates ? written(plan.edits) : [],
    });
    const whole = shard === 0 ? await wholeRound() : undefined;
    const memories = memoriesOf(base?.manifest, solved);
    const part = { state, memories, edits: written(own), whole };
    const record = await measureRound(bench, part, stopping(dependencies));
    await storeOnce(store, recordKey, validationForm, record);
  } finally {
    await bench.dispose();
  }
}

async function readSegment(store: ObjectStore, key: string, sha256: string): Promise<HookFile> {
  const { bytes } = await store.get(key);
  const actual = digestOf(bytes);
  if (actual !== sha256) throw new DigestMismatchError(key, sha256, actual);
  return decodeHookFile(bytes, key);
}

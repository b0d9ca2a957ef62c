/** @file Records a failed execution, and quarantines its round where trying again cannot help. */
import { z } from 'zod';
import {
  acquireLease,
  checkObjectKey,
  failureKey,
  findStored,
  type ObjectStore,
  readStored,
  releaseLease,
  roundPrefix,
  storeOnce,
} from '../../registry/index.js';
import { errorNames, exitCodes, type FunctionInput } from '../contract.js';
import { executionNameOf, type StageDependencies } from '../executions.js';
import { hasExitCode } from '../failure-cause.js';
import {
  type CurrentRound,
  findCurrentRound,
  findOutcome,
  publishedVersionOf,
  quarantineRound,
} from './current-round.js';
import { countStall } from './stalls.js';

type Input = FunctionInput<'notify'>;

/** What a failure did to the round in work. */
export type FailureEffect = 'none' | 'retried' | 'quarantined';

/** After so many failed executions a round is quarantined, even if trying again might help. */
const maxFailures = 3;

const failureForm = {
  what: 'the record of a failure',
  schema: z.strictObject({
    schemaVersion: z.literal(1),
    executionId: z.string(),
    stage: z.string(),
    error: z.string(),
    message: z.string(),
    at: z.iso.datetime(),
    roundId: z.string(),
  }),
};

/** Stores the failure, counts it for its round, and quarantines the round if it cannot succeed or failed too often. */
export async function recordFailure(
  input: Input,
  message: string,
  dependencies: StageDependencies,
): Promise<FailureEffect> {
  const { store, now } = dependencies;
  const { executionId, modelId, stage, error } = input;
  const name = executionNameOf(executionId);
  const key = failureKey(modelId, name);
  const before = await findStored(store, key, failureForm);
  const round = before === undefined ? await failedRound(store, input) : await roundOf(store, modelId, before.roundId);
  const at = now().toISOString();
  const roundId = round?.roundId ?? before?.roundId ?? input.roundId;
  await storeOnce(store, key, failureForm, { schemaVersion: 1, executionId, stage, error, message, at, roundId });
  if (round === undefined) {
    if (roundId === '') await countStall(store, modelId, name);
    return before !== undefined && (await wasQuarantined(store, modelId, roundId)) ? 'quarantined' : 'none';
  }
  if (error === errorNames.machine) {
    // Only the schedule, or whoever runs the executions, tries again, so that they do not start each other without end.
    await countStall(store, modelId, name);
    return 'retried';
  }
  const failures = await countFailure(store, modelId, round, { name, at });
  const isPermanent = error === errorNames.permanent || hasExitCode(input.cause, exitCodes.permanent);
  if (!isPermanent && failures < maxFailures) return 'retried';
  return (await quarantine(modelId, round, executionId, dependencies)) ? 'quarantined' : 'retried';
}

/** The round in work that the execution failed at; undefined if it had none, or if the round has ended. */
async function failedRound(store: ObjectStore, { modelId, roundId, stage }: Input): Promise<CurrentRound | undefined> {
  if (roundId !== '') return roundOf(store, modelId, roundId);
  // Before an execution holds the lease, the round in work may be another one's.
  return stage === 'ingest' || stage === 'lease' ? undefined : findCurrentRound(store, modelId);
}

async function roundOf(store: ObjectStore, modelId: string, roundId: string): Promise<CurrentRound | undefined> {
  const current = await findCurrentRound(store, modelId);
  return current?.roundId === roundId ? current : undefined;
}

const markForm = { what: 'a failure of a round', schema: z.strictObject({ at: z.iso.datetime() }) };

/** @returns how many executions failed at the round since it began, this one included */
async function countFailure(
  store: ObjectStore,
  modelId: string,
  { roundId, startedAt }: CurrentRound,
  { name, at }: { readonly name: string; readonly at: string },
): Promise<number> {
  const prefix = `${roundPrefix(modelId, roundId)}failures/`;
  await storeOnce(store, checkObjectKey(`${prefix}${name}.json`), markForm, { at });
  const marks = (await store.list(prefix)).map((key) => readStored(store, key, markForm));
  return (await Promise.all(marks)).filter((mark) => mark.at >= startedAt).length;
}

/** Quarantines a round under the lease. If another execution holds the lease, it works on the round and may still succeed. */
async function quarantine(
  modelId: string,
  { roundId }: CurrentRound,
  executionId: string,
  { store, executions, now }: StageDependencies,
): Promise<boolean> {
  const isRunning = (id: string) => executions.isRunning(id);
  const lease = await acquireLease(store, modelId, { owner: executionId, now, isRunning });
  if (!lease.acquired) return false;
  try {
    if (await hasEnded(store, modelId, roundId)) return false;
    return await quarantineRound(store, modelId, roundId);
  } finally {
    await releaseLease(store, modelId, { owner: executionId });
  }
}

/** Whether a round that is no longer in work has no outcome: then an earlier try of this call quarantined it. */
async function wasQuarantined(store: ObjectStore, modelId: string, roundId: string): Promise<boolean> {
  return roundId !== '' && (await findOutcome(store, modelId, roundId)) === undefined;
}

/** Whether a round has ended. If its last stage was cut off, the next `plan` stores what is missing. */
async function hasEnded(store: ObjectStore, modelId: string, roundId: string): Promise<boolean> {
  if ((await findOutcome(store, modelId, roundId)) !== undefined) return true;
  return (await publishedVersionOf(store, modelId, roundId, 0)) !== undefined;
}

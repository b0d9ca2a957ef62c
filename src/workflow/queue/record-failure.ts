/** @file What a failed execution leaves behind, and what becomes of its round. */
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
import { isPermanentExit } from '../failure-cause.js';
import type { CurrentRound } from './current-round.js';
import { findCurrentRound, findOutcome, publishedVersionOf, quarantineRound } from './current-round.js';
import { countStall } from './stalls.js';

type Input = FunctionInput<'notify'>;

/** What the failure did to the round in work. */
export type FailureEffect = 'none' | 'retried' | 'quarantined';

/** Failures of executions after which a round is set aside, where trying again might help. */
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

/** Writes the failure down, counts it for its round, and sets the round aside where nothing else is to be expected. */
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
    return before !== undefined && (await wasSetAside(store, modelId, roundId)) ? 'quarantined' : 'none';
  }
  const failures = await countFailure(store, modelId, round, { name, at });
  const isPermanent = error === errorNames.permanent || isPermanentExit(input.cause, exitCodes.permanent);
  if (!isPermanent && failures < maxFailures) return 'retried';
  return (await setAside(modelId, round, executionId, dependencies)) ? 'quarantined' : 'retried';
}

/** The round in work that the execution failed at; none where it never had one, or where it is over. */
async function failedRound(store: ObjectStore, { modelId, roundId, stage }: Input): Promise<CurrentRound | undefined> {
  if (roundId !== '') return roundOf(store, modelId, roundId);
  // Whose round it is that is in work, only who held the lease knows.
  return stage === 'ingest' || stage === 'lease' ? undefined : findCurrentRound(store, modelId);
}

async function roundOf(store: ObjectStore, modelId: string, roundId: string): Promise<CurrentRound | undefined> {
  const current = await findCurrentRound(store, modelId);
  return current?.roundId === roundId ? current : undefined;
}

const markForm = { what: 'a failure of a round', schema: z.strictObject({ at: z.iso.datetime() }) };

/** @returns executions that failed at the round since it was begun, with this one */
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

/** Under the lease, so that no other execution works on the round; whoever holds it fails by itself, or succeeds. */
async function setAside(
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

/** Whether a round that is not in work any more had no end: an earlier try of this very call moved it. */
async function wasSetAside(store: ObjectStore, modelId: string, roundId: string): Promise<boolean> {
  return roundId !== '' && (await findOutcome(store, modelId, roundId)) === undefined;
}

/** A round whose end was cut off is for the next plan to finish. */
async function hasEnded(store: ObjectStore, modelId: string, roundId: string): Promise<boolean> {
  if ((await findOutcome(store, modelId, roundId)) !== undefined) return true;
  return (await publishedVersionOf(store, modelId, roundId, 0)) !== undefined;
}

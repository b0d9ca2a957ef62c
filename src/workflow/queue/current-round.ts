/** @file The round in work: begun, finished, set aside. Every step can be repeated after any failure. */
import { z } from 'zod';
import { NoSuchKeyError, PreconditionFailedError } from '../../errors.js';
import {
  currentRoundKey,
  encodeCanonical,
  failedKey,
  failedPrefix,
  findStored,
  getIfPresent,
  type ObjectStore,
  pendingKey,
  pendingPrefix,
  pointerHistory,
  putOnce,
  readManifest,
  readStored,
  roundKey,
  storeOnce,
} from '../../registry/index.js';
import { type RoundOutcomeRecord, roundOutcomeSchema } from '../../rounds/index.js';
import { identityOf, laterName, readUnitAt, roundIdOf, unitNamesBelow, unitOutcomeKey } from './pending-units.js';

/** A round in work: `models/<modelId>/round.json`, written under the lease. While it is there, every plan is of this round. */
export const currentRoundSchema = z.strictObject({
  schemaVersion: z.literal(1),
  roundId: z.string(),
  /** Names of pending objects, oldest first. */
  units: z.array(z.string()).min(1),
  executionId: z.string(),
  startedAt: z.iso.datetime(),
  /** Whether nothing else of the model waited when the round began. */
  isLast: z.boolean(),
  /** The round is being set aside: its units move to `failed/`. */
  quarantined: z.literal(true).exactOptional(),
});
export type CurrentRound = z.infer<typeof currentRoundSchema>;

const currentForm = { what: 'the round in work', schema: currentRoundSchema };
const outcomeForm = { what: 'the outcome of a round', schema: roundOutcomeSchema };
const unitsForm = { what: 'the units of a round', schema: z.array(z.string()).min(1) };
const unitOutcomeForm = {
  what: 'the outcome of a unit',
  schema: z.strictObject({ roundId: z.string(), outcome: z.enum(['published', 'rejected']), version: z.int() }),
};

/** The round in work; undefined between rounds. */
export const findCurrentRound = (store: ObjectStore, modelId: string): Promise<CurrentRound | undefined> =>
  findStored(store, currentRoundKey(modelId), currentForm);

/** Begins a round of these units. @returns the round in work, which is another if somebody began one just before */
export async function beginRound(
  store: ObjectStore,
  modelId: string,
  units: string[],
  beginning: Pick<CurrentRound, 'executionId' | 'startedAt' | 'isLast'>,
): Promise<CurrentRound> {
  const roundId = roundIdOf(units);
  await storeOnce(store, roundKey(modelId, roundId, 'units.json'), unitsForm, units.map(identityOf));
  const round: CurrentRound = { schemaVersion: 1, roundId, units, ...beginning };
  return storeOnce(store, currentRoundKey(modelId), currentForm, round);
}

/** How a round ended; undefined before. */
export const findOutcome = (
  store: ObjectStore,
  modelId: string,
  roundId: string,
): Promise<RoundOutcomeRecord | undefined> => findStored(store, outcomeKeyOf(modelId, roundId), outcomeForm);

/** What became of a unit; undefined before its round ended. */
export const findUnitOutcome = (
  store: ObjectStore,
  modelId: string,
  unit: Parameters<typeof unitOutcomeKey>[1],
): Promise<z.infer<typeof unitOutcomeForm.schema> | undefined> =>
  findStored(store, unitOutcomeKey(modelId, unit), unitOutcomeForm);

/** Key of how a round ended. */
export const outcomeKeyOf = (modelId: string, roundId: string): string => roundKey(modelId, roundId, 'outcome.json');

/** Who publishes a round: whatever execution does, the round is published once. */
export const publisherOf = (roundId: string): string => `round ${roundId}`;

/**
 * The version as which a round was published, if it was and nobody got to write it down, with the edits it wrote.
 *
 * @param newestVersion highest version number before the round's batches were dropped
 */
export async function publishedVersionOf(
  store: ObjectStore,
  modelId: string,
  roundId: string,
  newestVersion: number,
): Promise<{ readonly version: number; readonly edits: number } | undefined> {
  for await (const { pointer } of pointerHistory(store, modelId)) {
    if (pointer.action !== 'publish') continue;
    if (pointer.version <= newestVersion) return undefined;
    if (pointer.publishedBy !== publisherOf(roundId)) continue;
    const { version, manifestSha256 } = pointer;
    const { edits } = await readManifest(store, modelId, version, manifestSha256);
    return { version, edits: edits.filter((edit) => edit.version === version).length };
  }
  return undefined;
}

/**
 * Ends a round: its outcome first, then what became of each of its units, then they leave the queue.
 *
 * @returns the outcome that is stored
 */
export async function finishRound(
  store: ObjectStore,
  modelId: string,
  roundId: string,
  outcome: RoundOutcomeRecord,
): Promise<RoundOutcomeRecord> {
  const stored = await storeOnce(store, outcomeKeyOf(modelId, roundId), outcomeForm, outcome);
  const identities = await readStored(store, roundKey(modelId, roundId, 'units.json'), unitsForm);
  // Also those that were set aside, should an execution have gone on with the round all the same.
  const keys = [...(await keysOf(store, pendingPrefix(modelId))), ...(await keysOf(store, failedPrefix(modelId)))];
  const ended = keys.filter((key) => identities.includes(identityOf(key.slice(key.lastIndexOf('/') + 1))));
  for (const key of ended) {
    const unit = await readUnitAt(store, key);
    const became = { roundId, outcome: stored.outcome, version: stored.version };
    await storeOnce(store, unitOutcomeKey(modelId, unit), unitOutcomeForm, became);
  }
  for (const key of ended) await store.delete(key);
  await endCurrentRound(store, modelId, roundId);
  return stored;
}

const keysOf = async (store: ObjectStore, prefix: string): Promise<string[]> =>
  (await unitNamesBelow(store, prefix)).map((name) => prefix + name);

async function endCurrentRound(store: ObjectStore, modelId: string, roundId: string): Promise<void> {
  const current = await findCurrentRound(store, modelId);
  if (current?.roundId === roundId) await store.delete(currentRoundKey(modelId));
}

/** Sets the round in work aside; under the lease. @returns false if it is another round by now */
export async function quarantineRound(store: ObjectStore, modelId: string, roundId: string): Promise<boolean> {
  const key = currentRoundKey(modelId);
  const round = await findCurrentRound(store, modelId);
  if (round?.roundId !== roundId) return false;
  if (round.quarantined !== true) {
    const { etag } = await store.get(key);
    const marked: CurrentRound = { ...round, quarantined: true };
    if (!(await wasReplaced(store, key, encodeCanonical(marked), etag))) return false;
  }
  await finishQuarantine(store, modelId, round);
  return true;
}

async function wasReplaced(store: ObjectStore, key: string, bytes: Uint8Array, ifMatch: string): Promise<boolean> {
  try {
    await store.put(key, bytes, { ifMatch });
    return true;
  } catch (error) {
    if (error instanceof PreconditionFailedError || error instanceof NoSuchKeyError) return false;
    throw error;
  }
}

/** Moves the units of a round that is marked as quarantined. */
export async function finishQuarantine(store: ObjectStore, modelId: string, round: CurrentRound): Promise<void> {
  for (const name of round.units) {
    await move(store, pendingKey(modelId, name), failedKey(modelId, name));
  }
  await endCurrentRound(store, modelId, round.roundId);
}

/**
 * Puts all quarantined units back into the queue, each a millisecond later than it was: so no move in the other direction
 * that is under way can take away what this one wrote.
 *
 * @returns how many there were
 */
export async function redriveFailed(store: ObjectStore, modelId: string): Promise<number> {
  const names = await unitNamesBelow(store, failedPrefix(modelId));
  for (const name of names) await move(store, failedKey(modelId, name), pendingKey(modelId, laterName(name)));
  return names.length;
}

async function move(store: ObjectStore, from: string, to: string): Promise<void> {
  const bytes = await getIfPresent(store, from);
  if (bytes !== undefined) await putOnce(store, to, bytes);
  await store.delete(from);
}

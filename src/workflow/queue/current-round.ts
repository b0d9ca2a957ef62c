/** @file The round in work: how it begins, ends or is quarantined. Every step can be repeated after any failure. */
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

/** A round in work: `models/<modelId>/round.json`, written under the lease. As long as it is there, it is the one that is planned. */
export const currentRoundSchema = z.strictObject({
  schemaVersion: z.literal(1),
  roundId: z.string(),
  /** Names of pending objects, oldest first. */
  units: z.array(z.string()).min(1),
  executionId: z.string(),
  startedAt: z.iso.datetime(),
  /** Whether nothing else of the model was waiting when the round began. */
  isLast: z.boolean(),
  /** The round is being quarantined: its units move to `failed/`. */
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

/** Begins a round of these units. @returns the round in work: another one if another execution began it first */
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

/** How a round ended; undefined if it has not. */
export const findOutcome = (
  store: ObjectStore,
  modelId: string,
  roundId: string,
): Promise<RoundOutcomeRecord | undefined> => findStored(store, outcomeKeyOf(modelId, roundId), outcomeForm);

/** How the round of a unit ended; undefined if it has not. */
export const findUnitOutcome = (
  store: ObjectStore,
  modelId: string,
  unit: Parameters<typeof unitOutcomeKey>[1],
): Promise<z.infer<typeof unitOutcomeForm.schema> | undefined> =>
  findStored(store, unitOutcomeKey(modelId, unit), unitOutcomeForm);

/** Key of a round's outcome. */
export const outcomeKeyOf = (modelId: string, roundId: string): string => roundKey(modelId, roundId, 'outcome.json');

/** The name under which every execution publishes a round, so that it is published once. */
export const publisherOf = (roundId: string): string => `round ${roundId}`;

/**
 * The version that a round was published as, and how many edits it wrote; undefined if it was not published. It can be
 * published without a stored outcome, if its last stage was cut off.
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
 * Ends a round: stores its outcome, then the outcome of each of its units, and then takes the units out of the queue.
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
  // Quarantined units too: an execution may have gone on with the round all the same.
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

/** Quarantines the round in work; under the lease. @returns false if another round is in work by now */
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

/** Moves the units of a round that is marked as quarantined to `failed/`. */
export async function finishQuarantine(store: ObjectStore, modelId: string, round: CurrentRound): Promise<void> {
  for (const name of round.units) {
    await move(store, pendingKey(modelId, name), failedKey(modelId, name));
  }
  await endCurrentRound(store, modelId, round.roundId);
}

/**
 * Puts all quarantined units back into the queue. Each gets a time one millisecond later, and so a new name: a quarantine that
 * is still moving the old name cannot remove it.
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

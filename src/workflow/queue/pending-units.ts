/** @file Units: edits of one dropped batch that wait for a round. */
import { z } from 'zod';
import type { Edit } from '../../editing/index.js';
import { MalformedFileError, NoSuchKeyError } from '../../errors.js';
import { overwrites } from '../../evaluation/index.js';
import {
  batchKey,
  contentKey,
  type ObjectStore,
  parseStored,
  pendingKey,
  pendingPrefix,
  readStored,
  storeOnce,
} from '../../registry/index.js';
import { editSchema } from '../../rounds/index.js';
import type { Registration } from '../registration.js';

const count = z.int().nonnegative();

const pendingForm = {
  what: 'a pending unit',
  schema: z.strictObject({
    schemaVersion: z.literal(1),
    /** SHA-256 of the dropped batch. */
    digest: z.string().regex(/^[0-9a-f]{64}$/),
    /** Number of the unit in its batch, from 1. */
    unit: z.int().positive(),
    edits: count,
    /** Highest version number when the batch was dropped: a version with this unit is newer. */
    newestVersion: count,
  }),
};

/** Some edits of one dropped batch, for one round. */
export type PendingUnit = z.infer<typeof pendingForm.schema>;

const namePattern = /^(\d{8}T\d{9})-([0-9a-f]{16}-\d{4,})\.json$/;

/** The last segment of a pending unit's key; names of units dropped later are greater. */
export function pendingName(receivedAt: Date, { digest, unit }: Pick<PendingUnit, 'digest' | 'unit'>): string {
  return `${stampOf(receivedAt)}-${unitIdentity({ digest, unit })}.json`;
}

const stampOf = (time: Date): string => time.toISOString().replace(/[-:.Z]/g, '');

/** Names a unit, whenever it was dropped: the part of its name after the time. */
export const unitIdentity = ({ digest, unit }: Pick<PendingUnit, 'digest' | 'unit'>): string =>
  `${digest.slice(0, 16)}-${unitNumber(unit)}`;

/** The {@link unitIdentity} in a pending unit's name. */
export const identityOf = (name: string): string => namePattern.exec(name)?.[2] ?? name;

/** The time in a pending unit's name, in milliseconds since the epoch. */
export function receivedAtOf(name: string): number {
  const stamp = namePattern.exec(name)?.[1] ?? '';
  return Date.parse(stamp.replace(/^(....)(..)(..T..)(..)(..)(...)$/, '$1-$2-$3:$4:$5.$6Z'));
}

/** The name of the same unit, a millisecond later. */
export const laterName = (name: string): string =>
  `${stampOf(new Date(receivedAtOf(name) + 1))}-${identityOf(name)}.json`;

/** Names of the units below a prefix, in their order. */
export async function unitNamesBelow(store: ObjectStore, prefix: string): Promise<string[]> {
  const keys = await store.list(prefix);
  return keys.map((key) => key.slice(prefix.length)).filter((name) => namePattern.test(name));
}

/** Names of a model's pending units, oldest first. */
export const pendingNames = (store: ObjectStore, modelId: string): Promise<string[]> =>
  unitNamesBelow(store, pendingPrefix(modelId));

/** @throws {NoSuchKeyError} @throws {MalformedFileError} */
export const readPending = (store: ObjectStore, modelId: string, name: string): Promise<PendingUnit> =>
  readUnitAt(store, pendingKey(modelId, name));

/** The pending or quarantined unit under a key. @throws {NoSuchKeyError} @throws {MalformedFileError} */
export const readUnitAt = (store: ObjectStore, key: string): Promise<PendingUnit> =>
  readStored(store, key, pendingForm);

/** Name of the file with a unit's edits, such as `unit-0001.jsonl`. */
export const unitFileName = (unit: number): string => `unit-${unitNumber(unit)}.jsonl`;

const unitNumber = (unit: number): string => String(unit).padStart(4, '0');

/** Key of a unit's outcome, which is stored once its round ended. */
export const unitOutcomeKey = (modelId: string, { digest, unit }: Pick<PendingUnit, 'digest' | 'unit'>): string =>
  batchKey(modelId, digest, `unit-${unitNumber(unit)}.outcome.json`);

/** The edits of a unit. @throws {NoSuchKeyError} @throws {MalformedFileError} if they are damaged or of another number */
export async function readUnit(
  store: ObjectStore,
  modelId: string,
  { digest, unit, edits: expected }: PendingUnit,
): Promise<Edit[]> {
  const key = batchKey(modelId, digest, unitFileName(unit));
  const text = new TextDecoder().decode((await store.get(key)).bytes);
  const lines = text.split('\n').filter((line) => line !== '');
  const edits = lines.map((line) => parseStored(line, editSchema, key, 'edits, one a line'));
  if (edits.length !== expected) throw new MalformedFileError(key, `${expected} edits`, String(edits.length));
  return edits;
}

/** The id of a round of these units: the same units give the same round, whenever they were dropped. */
export const roundIdOf = (names: readonly string[]): string => contentKey(names.map(identityOf)).slice(0, 16);

/**
 * Chooses the units of the next round: the oldest one and, if the registration coalesces batches, those that follow it as long
 * as they fit into the round and share no fact and no id with it. Units of ended rounds are removed from the queue.
 *
 * @returns their names
 */
export async function chooseUnits(store: ObjectStore, registration: Registration): Promise<string[]> {
  const { modelId } = registration;
  const chosen: string[] = [];
  const edits: Edit[] = [];
  for (const name of await pendingNames(store, modelId)) {
    const unit = await readable(() => readPending(store, modelId, name));
    if (unit === 'absent') continue;
    const isChosen = chosen.some((other) => identityOf(other) === identityOf(name));
    if (unit !== 'damaged' && (isChosen || (await hasEnded(store, modelId, unit)))) {
      await store.delete(pendingKey(modelId, name));
      continue;
    }
    const more = unit === 'damaged' ? unit : await readable(() => readUnit(store, modelId, unit));
    if (typeof more === 'string') return chosen.length > 0 ? chosen : [name];
    if (chosen.length > 0 && !canShare(edits, more, registration.roundSize)) return chosen;
    chosen.push(name);
    edits.push(...more);
    if (!registration.coalesce) return chosen;
  }
  return chosen;
}

/** Reads without failing: a damaged unit gets a round of its own, which fails and names the damage. */
async function readable<T extends object>(read: () => Promise<T>): Promise<T | 'absent' | 'damaged'> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof NoSuchKeyError) return 'absent';
    if (error instanceof MalformedFileError) return 'damaged';
    throw error;
  }
}

const hasEnded = async (store: ObjectStore, modelId: string, unit: PendingUnit): Promise<boolean> =>
  (await store.head(unitOutcomeKey(modelId, unit))) !== undefined;

function canShare(edits: readonly Edit[], more: readonly Edit[], roundSize: number): boolean {
  const ids = new Set(edits.map(({ id }) => id));
  return (
    edits.length + more.length <= roundSize &&
    overwrites(more, edits).length === 0 &&
    !more.some(({ id }) => ids.has(id))
  );
}

/** Puts a unit into the queue, unless it is there. */
export async function storePending(
  store: ObjectStore,
  modelId: string,
  name: string,
  unit: Omit<PendingUnit, 'schemaVersion'>,
): Promise<void> {
  await storeOnce(store, pendingKey(modelId, name), pendingForm, { schemaVersion: 1, ...unit });
}

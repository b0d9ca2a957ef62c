/** @file Makes pending units of a dropped object. Every step can be repeated after any failure. */
import { InvalidInputError, PermanentError, PreconditionFailedError, StoreUnavailableError } from '../../errors.js';
import { type BatchReading, parseBatch } from '../../evaluation/index.js';
import {
  type Arrival,
  batchKey,
  digestOf,
  encodeCanonical,
  findObject,
  findStored,
  nextVersion,
  type ObjectStore,
  putOnce,
  storeOnce,
} from '../../registry/index.js';
import { unfitness } from '../../rounds/index.js';
import type { FunctionOutput } from '../contract.js';
import type { ModelTokens } from '../model-tokens.js';
import { type Batch, batchForm, receiptForm, rejectionsKey } from './batch-objects.js';
import { refusalOf, refuse } from './inbox.js';
import { pendingName, storePending, unitFileName } from './pending-units.js';

/** Largest batch that is accepted. */
export const batchLimitBytes = 64 * 1024 * 1024;

/** Most units of a batch: their numbers have four digits. */
const maxUnits = 9999;

/** The outcome of ingesting an object. */
export type Ingested = Omit<FunctionOutput<'ingest'>, 'modelId'>;

/** The model and the execution that objects are ingested for. */
export interface Ingestion {
  readonly store: ObjectStore;
  readonly modelId: string;
  readonly roundSize: number;
  readonly executionId: string;
  /** The earliest time at which it may count as received: later than what was received before it. */
  readonly receivedAt: Date;
  readonly tokens: ModelTokens;
}

/** A dropped object to ingest. */
export type Dropped = Pick<Arrival, 'key' | 'stamp' | 'sizeBytes'>;

/** An outcome without edits. */
export const nothingOf = (outcome: Ingested['outcome'], reason = ''): Ingested => ({
  outcome,
  accepted: 0,
  rejected: 0,
  units: 0,
  reason,
  reportKey: '',
});

/**
 * Ingests an object and removes it from the inbox. Its bytes are kept as the batch's `source`. An object that cannot be read
 * as a batch is refused and stays in the inbox.
 */
export async function ingestObject(ingestion: Ingestion, dropped: Dropped): Promise<Ingested> {
  const { store, modelId } = ingestion;
  const earlier = await refusalOf(store, modelId, dropped);
  if (earlier !== undefined) return nothingOf('rejected', earlier);
  try {
    checkSize(dropped);
    return await ingestContent(ingestion, dropped);
  } catch (error) {
    // What cannot be read now is not refused: it is looked at again.
    if (error instanceof UnreadableObject) return nothingOf('rejected', error.message);
    if (!(error instanceof PermanentError)) throw error;
    await refuse(store, modelId, dropped, error.message);
    return nothingOf('rejected', error.message);
  }
}

class UnreadableObject extends Error {}

/** What the operating system says of one file and not of the disk. */
const codesOfOneFile: readonly string[] = ['EACCES', 'EPERM', 'EIO', 'ENXIO', 'ELOOP', 'ENAMETOOLONG'];

/** Runs what only touches one dropped object. @throws {UnreadableObject} if it is refused for this object alone */
async function ofOneObject<T>(objectKey: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof StoreUnavailableError) || !codesOfOneFile.includes(error.code)) throw error;
    throw new UnreadableObject(`batch ${objectKey}: readable, got ${error.code}`);
  }
}

function checkSize({ key: objectKey, sizeBytes }: Dropped): void {
  if (sizeBytes <= batchLimitBytes) return;
  const limit = `at most ${batchLimitBytes / 1024 / 1024} MiB; cut it into several files`;
  throw new InvalidInputError(`batch ${objectKey}`, limit, `${(sizeBytes / 1024 / 1024).toFixed(1)} MiB`);
}

async function ingestContent(ingestion: Ingestion, dropped: Dropped): Promise<Ingested> {
  const { store, modelId, executionId } = ingestion;
  const { key: objectKey } = dropped;
  const found = await ofOneObject(objectKey, () => findObject(store, objectKey));
  if (found === undefined) return nothingOf('nothing');
  const { bytes, etag } = found;
  const digest = digestOf(bytes);
  const receiptKey = batchKey(modelId, digest, 'receipt.json');
  let receipt = await findStored(store, receiptKey, receiptForm);
  const batch = await fileBatch(ingestion, { objectKey, bytes, digest, isFiled: receipt !== undefined });
  receipt ??= await storeOnce(store, receiptKey, receiptForm, { schemaVersion: 1, executionId, at: batch.receivedAt });
  await takeOut(ingestion, dropped, etag);
  const { accepted, rejected, units, reason } = batch;
  const isOwn = receipt.executionId === executionId;
  const outcome = reason !== '' ? 'rejected' : isOwn ? 'accepted' : 'duplicate';
  const reportKey = rejected > 0 ? rejectionsKey(modelId, digest) : '';
  return { outcome, accepted, rejected, units, reason, reportKey };
}

interface BatchContent {
  readonly objectKey: string;
  readonly bytes: Uint8Array;
  readonly digest: string;
  /** Whether everything of it is stored. */
  readonly isFiled: boolean;
}

async function fileBatch(ingestion: Ingestion, content: BatchContent): Promise<Batch> {
  const { store, modelId, tokens } = ingestion;
  const { objectKey, bytes, digest, isFiled } = content;
  const key = batchKey(modelId, digest, 'batch.json');
  const known = await findStored(store, key, batchForm);
  if (known !== undefined && isFiled) return known;
  await putOnce(store, batchKey(modelId, digest, 'source'), bytes);
  // Release 0.1 began batches without this check: going on with one must find the same edits.
  const isChecked = known === undefined || known.isChecked === true;
  const reading = await parseBatch(bytes, objectKey, {}, (edit) =>
    isChecked ? unfitness(tokens.tokenizer, tokens.limits, edit) : undefined,
  );
  const batch = known ?? (await storeOnce(store, key, batchForm, await batchOf(ingestion, objectKey, reading)));
  await putOnce(store, rejectionsKey(modelId, digest), encodeCanonical(reading.rejected));
  if (batch.units > 0) await fileUnits(ingestion, digest, batch, reading);
  return batch;
}

async function batchOf(ingestion: Ingestion, objectKey: string, reading: BatchReading): Promise<Batch> {
  const { store, modelId, roundSize, executionId, receivedAt } = ingestion;
  const units = Math.ceil(reading.edits.length / roundSize);
  const reason = reasonAgainst(objectKey, reading, units);
  return {
    schemaVersion: 1,
    objectKey,
    receivedAt: receivedAt.toISOString(),
    executionId,
    accepted: reason === '' ? reading.edits.length : 0,
    rejected: reading.rejected.length,
    units: reason === '' ? units : 0,
    roundSize,
    isChecked: true,
    newestVersion: (await nextVersion(store, modelId)) - 1,
    reason,
  };
}

function reasonAgainst(objectKey: string, { edits, rejected, linesRead }: BatchReading, units: number): string {
  if (units > maxUnits) return `batch ${objectKey}: at most ${maxUnits} rounds, got ${edits.length} edits for ${units}`;
  if (edits.length > 0) return '';
  const [first] = rejected;
  const why = first === undefined ? '' : `; line ${first.lineNumber}: ${first.reason}`;
  return `batch ${objectKey}: at least one acceptable edit, got none in ${linesRead} lines${why}`;
}

async function fileUnits(
  { store, modelId }: Ingestion,
  digest: string,
  { units, roundSize, receivedAt, newestVersion }: Batch,
  { edits }: BatchReading,
): Promise<void> {
  const parts = Array.from({ length: units }, (_, u) => edits.slice(u * roundSize, (u + 1) * roundSize));
  for (const [u, part] of parts.entries()) {
    const lines = part.map((edit) => `${new TextDecoder().decode(encodeCanonical(edit))}\n`).join('');
    await putOnce(store, batchKey(modelId, digest, unitFileName(u + 1)), new TextEncoder().encode(lines));
  }
  for (const [u, part] of parts.entries()) {
    const unit = { digest, unit: u + 1, edits: part.length, newestVersion };
    await storePending(store, modelId, pendingName(new Date(receivedAt), unit), unit);
  }
}

/**
 * Removes the object that was read. Another one that was dropped in its place meanwhile stays. One that cannot be removed
 * stays too, and is not read again.
 */
async function takeOut({ store, modelId }: Ingestion, dropped: Dropped, ifMatch: string): Promise<void> {
  try {
    await ofOneObject(dropped.key, () => store.delete(dropped.key, { ifMatch }));
  } catch (error) {
    if (error instanceof PreconditionFailedError) return;
    if (!(error instanceof UnreadableObject)) throw error;
    await refuse(store, modelId, dropped, `${error.message}: its edits were taken, but it could not be removed`);
  }
}

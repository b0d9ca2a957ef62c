/** @file Function `ingest`: makes pending units of dropped objects. */
import {
  type Arrival,
  inboxPrefix,
  isPassedOver,
  modelIdOfIncomingKey,
  type ObjectStore,
  registrationKey,
} from '../../registry/index.js';
import type { FunctionInput, FunctionOutput } from '../contract.js';
import type { StageDependencies } from '../executions.js';
import { readModelTokens } from '../model-tokens.js';
import { inboxEntries } from '../queue/inbox.js';
import { type Ingested, type Ingestion, ingestObject, nothingOf } from '../queue/ingest-object.js';
import { pendingNames, receivedAtOf } from '../queue/pending-units.js';
import { readRegistration } from '../registration.js';

type Output = FunctionOutput<'ingest'>;

/**
 * Ingests a dropped object and all that wait in the model's inbox and arrived before it, in the order of their arrival.
 * Without a key, it ingests all that wait.
 */
export async function ingestStage(
  { objectKey, modelId: statedId, executionId }: FunctionInput<'ingest'>,
  { store, now }: StageDependencies,
): Promise<Output> {
  // "Create folder" in a console of S3 makes an empty object with such a key.
  const isFolder = objectKey.endsWith('/');
  const modelId = modelIdOfIncomingKey(
    objectKey === '' ? `${inboxPrefix}${statedId}/all` : objectKey + (isFolder ? 'all' : ''),
  );
  if (modelId === undefined || (statedId !== '' && statedId !== modelId)) {
    const wanted = `incoming/${statedId === '' ? '<model id>' : statedId}/<name>`;
    const got = JSON.stringify(objectKey === '' ? statedId : objectKey);
    return { modelId: statedId, ...nothingOf('rejected', `dropped object: a key ${wanted}, got ${got}`) };
  }
  const unknown = await reasonIfUnknown(store, modelId);
  if (unknown !== undefined) return { modelId, ...nothingOf('rejected', unknown) };
  const registration = await readRegistration(store, modelId);
  if (isFolder) return { modelId, ...nothingOf('nothing') };
  await store.dropLateWrites();
  const arrivals = await chosen(store, modelId, objectKey);
  if (arrivals.length === 0) return { modelId, ...nothingOf('nothing') };
  const tokens = await readModelTokens(store, registration);
  const { roundSize } = registration;
  const ingested = await ingestAll({ store, modelId, roundSize, executionId, tokens }, arrivals, now);
  return { modelId, ...together(ingested) };
}

/** Who names an object vouches that it is complete. */
async function chosen(store: ObjectStore, modelId: string, objectKey: string): Promise<readonly Arrival[]> {
  if (isPassedOver(objectKey)) return [];
  const waiting: Arrival[] = [];
  for await (const entry of inboxEntries(store, modelId)) {
    if (entry.state === 'waiting' || entry.key === objectKey) waiting.push(entry);
    if (entry.key === objectKey) return waiting;
  }
  return objectKey === '' ? waiting : [];
}

async function reasonIfUnknown(store: ObjectStore, modelId: string): Promise<string | undefined> {
  if ((await store.head(registrationKey(modelId))) !== undefined) return undefined;
  return (
    `model ${modelId}: a model of this store, got none of this name; ` +
    `register it with \`hookline up --store <store> --model <directory> --model-id ${modelId}\` and drop the batch again`
  );
}

/** Ingests objects one after the other, with increasing times, so that the names of their units keep their order. */
async function ingestAll(
  place: Omit<Ingestion, 'receivedAt'>,
  arrivals: readonly Arrival[],
  now: () => Date,
): Promise<Ingested[]> {
  const ingested: Ingested[] = [];
  for (const arrival of arrivals) {
    // A clock can be set back, and another execution may have ingested what came before.
    const last = (await pendingNames(place.store, place.modelId)).at(-1);
    const earliest = last === undefined ? 0 : receivedAtOf(last) + 1;
    const receivedAt = new Date(Math.max(now().getTime(), earliest));
    ingested.push(await ingestObject({ ...place, receivedAt }, arrival));
  }
  return ingested;
}

/** The outcome of several objects: the best one of any, and the reason of each that was rejected. */
function together(all: readonly Ingested[]): Ingested {
  const sum = (of: (one: Ingested) => number) => all.reduce((total, one) => total + of(one), 0);
  const outcome = (['accepted', 'duplicate', 'rejected'] as const).find((o) => all.some((one) => one.outcome === o));
  const reasons = all.map(({ reason }) => reason).filter((reason) => reason !== '');
  return {
    outcome: outcome ?? 'nothing',
    accepted: sum(({ accepted }) => accepted),
    rejected: sum(({ rejected }) => rejected),
    units: sum(({ units }) => units),
    reason:
      reasons.slice(0, toldReasons).join('; ') +
      (reasons.length > toldReasons ? `; and ${reasons.length - toldReasons} more` : ''),
    reportKey: all.find(({ reportKey }) => reportKey !== '')?.reportKey ?? '',
  };
}

/** As many as a message can hold. */
const toldReasons = 5;

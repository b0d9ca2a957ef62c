/** @file Function `ingest`: makes pending units of dropped objects. */
import { inboxPrefix, modelIdOfIncomingKey, type ObjectStore, registrationKey } from '../../registry/index.js';
import { plannedContexts } from '../../rounds/index.js';
import type { FunctionInput, FunctionOutput } from '../contract.js';
import type { StageDependencies } from '../executions.js';
import { readModelTokens } from '../model-tokens.js';
import { waitingKeys } from '../queue/inbox.js';
import { type Ingested, type Ingestion, ingestObject, nothingOf } from '../queue/ingest-object.js';
import { readRegistration } from '../registration.js';

type Output = FunctionOutput<'ingest'>;

/** Ingests one dropped object or, without a key, all objects that wait in the model's inbox. */
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
  const keys = objectKey === '' ? await waitingKeys(store, modelId) : [objectKey];
  if (keys.length === 0) return { modelId, ...nothingOf('nothing') };
  const tokens = await readModelTokens(store, registration);
  const contexts = [...((await plannedContexts(store, registration)) ?? ['{}'])];
  const { roundSize } = registration;
  const ingested = await ingestAll({ store, modelId, roundSize, executionId, tokens, contexts }, keys, now);
  return { modelId, ...(keys.length === 1 ? ingested[0] : together(ingested)) };
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
  keys: readonly string[],
  now: () => Date,
): Promise<Ingested[]> {
  const ingested: Ingested[] = [];
  let lastTime = 0;
  for (const key of keys) {
    lastTime = Math.max(now().getTime(), lastTime + 1);
    ingested.push(await ingestObject({ ...place, receivedAt: new Date(lastTime) }, key));
  }
  return ingested;
}

/** The outcome of several objects: the best one of any. */
function together(all: readonly Ingested[]): Ingested {
  const sum = (of: (one: Ingested) => number) => all.reduce((total, one) => total + of(one), 0);
  const outcome = (['accepted', 'duplicate', 'rejected'] as const).find((o) => all.some((one) => one.outcome === o));
  const reasons = all.map(({ reason }) => reason).filter((reason) => reason !== '');
  const isRejected = outcome === 'rejected';
  return {
    outcome: outcome ?? 'nothing',
    accepted: sum(({ accepted }) => accepted),
    rejected: sum(({ rejected }) => rejected),
    units: sum(({ units }) => units),
    reason: isRejected ? `${reasons[0]}${reasons.length > 1 ? `; and ${reasons.length - 1} more` : ''}` : '',
    reportKey: all.find(({ reportKey }) => reportKey !== '')?.reportKey ?? '',
  };
}

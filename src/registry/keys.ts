/** @file The keys of all objects. It imports nothing of Node, because infrastructure code uses it too. */
import { InvalidInputError } from '../errors.js';
import { checkKeySegment, checkModelId, checkObjectKey, shown } from './object-key.js';

export {
  checkKeyPrefix,
  checkModelId,
  checkObjectKey,
  modelIdFrom,
  objectKeyLimitBytes,
  reservedFolder,
} from './object-key.js';

const versionDigits = 6;
const maxVersion = 10 ** versionDigits - 1;
const digestPattern = /^[0-9a-f]{64}$/;

/** The files that a version may ship beside its manifest. */
export const versionFileNames = ['hooks.safetensors', 'report.html', 'edits.jsonl'] as const;
export type VersionFileName = (typeof versionFileNames)[number];

/** `000042` for 42. @throws {InvalidInputError} unless it is an integer from 1 to 999999 */
export function versionName(version: number): string {
  if (!Number.isInteger(version) || version < 1 || version > maxVersion) {
    throw new InvalidInputError('version', `an integer from 1 to ${maxVersion}`, String(version));
  }
  return String(version).padStart(versionDigits, '0');
}

/** `models/<modelId>/`: everything of one model lies below it. */
export const modelPrefix = (modelId: string): string => `models/${checkModelId(modelId)}/`;

/** The pointer to the published version: the only object of a model that is ever replaced. */
export const latestKey = (modelId: string): string => `${modelPrefix(modelId)}latest.json`;

export const versionsPrefix = (modelId: string): string => `${modelPrefix(modelId)}versions/`;

export const manifestKey = (modelId: string, version: number): string =>
  `${versionsPrefix(modelId)}${versionName(version)}/manifest.json`;

/** Key of a version's file relative to `models/<modelId>/`, as manifests name it. */
export const relativeVersionFileKey = (version: number, name: VersionFileName): string =>
  `versions/${versionName(version)}/${name}`;

export const versionFileKey = (modelId: string, version: number, name: VersionFileName): string =>
  modelPrefix(modelId) + relativeVersionFileKey(version, name);

/** The version number in a key below `versions/`, or undefined for a key of another form. */
export function versionOfKey(modelId: string, key: string): number | undefined {
  const prefix = versionsPrefix(modelId);
  const match = key.startsWith(prefix) ? /^(\d{6})\//.exec(key.slice(prefix.length)) : null;
  const version = match ? Number(match[1]) : 0;
  return version > 0 ? version : undefined;
}

export const logPrefix = (modelId: string): string => `${modelPrefix(modelId)}log/`;

/** A replaced state of the pointer, by its sequence number. Write once. */
export const logKey = (modelId: string, sequence: number): string =>
  `${logPrefix(modelId)}${String(sequence).padStart(8, '0')}.json`;

/** Prefix of one set of key statistics. @param digest its content key, 64 hex digits */
export const statisticsPrefix = (modelId: string, digest: string): string =>
  `${modelPrefix(modelId)}statistics/${checkDigest(digest)}/`;

/** A file of one set of key statistics, such as `layer-3.safetensors`. */
export const statisticsKey = (modelId: string, digest: string, name: string): string =>
  checkObjectKey(statisticsPrefix(modelId, digest) + name);

export const valuesPrefix = (modelId: string): string => `${modelPrefix(modelId)}values/`;

/** An optimised value. @param digest its content key, 64 hex digits */
export const valuesKey = (modelId: string, digest: string): string =>
  `${valuesPrefix(modelId)}${checkDigest(digest)}.safetensors`;

/** A measured cell of a study. @param digest its content key, 64 hex digits */
export const studyKey = (modelId: string, digest: string): string =>
  `${modelPrefix(modelId)}studies/${checkDigest(digest)}.json`;

function checkDigest(digest: string): string {
  if (!digestPattern.test(digest)) throw new InvalidInputError('content key', '64 hex digits', shown(digest));
  return digest;
}

/** `incoming/`: the inboxes of all models. */
export const inboxPrefix = 'incoming/';

/** `incoming/<modelId>/`: what is dropped here is ingested as edits of the model. */
export const incomingPrefix = (modelId: string): string => `${inboxPrefix}${checkModelId(modelId)}/`;

/** A dropped object. @param name one or more segments */
export const incomingKey = (modelId: string, name: string): string => checkObjectKey(incomingPrefix(modelId) + name);

// Of editors (swap, backup, lock and test files), of browsers, and of programs that copy.
const temporaryName = /^4913$|^#.*#$|^~\$|~$|\.(?:tmp|temp|part|partial|filepart|crdownload|download|sw[a-z]|bak)$/i;

/**
 * Whether a dropped object is passed over: one below a hidden folder or with a hidden name, or with one of the names that
 * programs give to what they have not finished writing.
 */
export const isPassedOver = (key: string): boolean =>
  key.split('/').some((segment) => segment.startsWith('.') || temporaryName.test(segment));

/** The model id in `incoming/<modelId>/<one or more segments>`, or undefined for anything else. */
export function modelIdOfIncomingKey(key: string): string | undefined {
  const modelId = /^incoming\/([^/]+)\/./su.exec(key)?.[1];
  if (modelId === undefined) return undefined;
  try {
    checkModelId(modelId);
    checkObjectKey(key);
    return modelId;
  } catch (error) {
    if (error instanceof InvalidInputError) return undefined;
    throw error;
  }
}

/** How a model is edited: written when it is registered. */
export const registrationKey = (modelId: string): string => `${modelPrefix(modelId)}model.json`;

/** A text that key statistics or perplexities are measured on. @param sha256 of its bytes, 64 hex digits */
export const corpusKey = (modelId: string, sha256: string): string =>
  `${modelPrefix(modelId)}corpus/${checkDigest(sha256)}.txt`;

/** Prefix of the objects made from one dropped batch. @param digest SHA-256 of its bytes, 64 hex digits */
export const batchPrefix = (modelId: string, digest: string): string =>
  `${modelPrefix(modelId)}batches/${checkDigest(digest)}/`;

/** A file of a dropped batch, such as `receipt.json`. */
export const batchKey = (modelId: string, digest: string, name: string): string =>
  below(batchPrefix(modelId, digest), name);

/** Units of edits that wait for a round, oldest key first. */
export const pendingPrefix = (modelId: string): string => `${modelPrefix(modelId)}pending/`;

/** @param name the whole last segment, with its extension */
export const pendingKey = (modelId: string, name: string): string => below(pendingPrefix(modelId), name);

/** Quarantined units, under the names they had while pending. */
export const failedPrefix = (modelId: string): string => `${modelPrefix(modelId)}failed/`;

/** @param name the whole last segment, as it was below `pending/` */
export const failedKey = (modelId: string, name: string): string => below(failedPrefix(modelId), name);

/** The round under way. It exists from the round's plan to its outcome. */
export const currentRoundKey = (modelId: string): string => `${modelPrefix(modelId)}round.json`;

const roundIdPattern = /^[0-9a-f]{16}$/;

/** Prefix of one round. @param roundId 16 hex digits */
export function roundPrefix(modelId: string, roundId: string): string {
  if (!roundIdPattern.test(roundId)) throw new InvalidInputError('round id', '16 hex digits', shown(roundId));
  return `${modelPrefix(modelId)}rounds/${roundId}/`;
}

/** An object of a round. @param names its segments, such as `outcome.json`, or a plan's digest and `plan.json` */
export const roundKey = (modelId: string, roundId: string, ...names: readonly [string, ...string[]]): string =>
  below(roundPrefix(modelId, roundId), ...names);

/** The lease on the model: which execution works on it. */
export const leaseKey = (modelId: string): string => `${modelPrefix(modelId)}lease.json`;

/** Records of executions that failed while they worked on the model. */
export const failuresPrefix = (modelId: string): string => `${modelPrefix(modelId)}failures/`;

/** @param executionName the execution's name, not its ARN */
export const failureKey = (modelId: string, executionName: string): string =>
  below(failuresPrefix(modelId), `${checkExecutionName(executionName)}.json`);

/** Records of all executions that ended. */
export const recordsPrefix = (modelId: string): string => `${modelPrefix(modelId)}records/`;

/** @param executionName the execution's name, not its ARN */
export const recordKey = (modelId: string, executionName: string): string =>
  below(recordsPrefix(modelId), `${checkExecutionName(executionName)}.json`);

/** `executions/`: executions of the workflow on this machine. */
export const executionsPrefix = 'executions/';

/** Prefix of one execution's objects. */
export const executionPrefix = (executionName: string): string =>
  `${executionsPrefix}${checkExecutionName(executionName)}/`;

/** An object of one execution, such as `result.json`. */
export const executionKey = (executionName: string, name: string): string =>
  below(executionPrefix(executionName), name);

/** `events/`: announcements of the workflow on this machine. */
export const eventsPrefix = 'events/';

export const eventKey = (name: string): string => below(eventsPrefix, name);

function below(prefix: string, ...names: readonly string[]): string {
  return checkObjectKey(prefix + names.map((name) => checkKeySegment('name of an object', name)).join('/'));
}

const checkExecutionName = (name: string): string => checkKeySegment('execution name', name);

/** @file Object keys of every model, as patterns for policies. They are derived from the registry's keys. */
import {
  batchPrefix,
  corpusKey,
  currentRoundKey,
  failedPrefix,
  failuresPrefix,
  inboxPrefix,
  latestKey,
  leaseKey,
  logPrefix,
  modelPrefix,
  pendingPrefix,
  recordsPrefix,
  roundPrefix,
  statisticsPrefix,
  valuesPrefix,
  versionsPrefix,
} from '../src/registry/keys.js';

const model = 'model';
const digest = '0'.repeat(64);
const roundId = '0'.repeat(16);

/** `models/*` and the rest of a key of the model named `model`. */
const ofEveryModel = (key: string): string => `models/*/${key.slice(modelPrefix(model).length)}`;

/** The prefix without its last segment, which is the placeholder of a digest or a round. */
const parent = (prefix: string): string => prefix.replace(/[^/]+\/?$/, '');

export const keyPatterns = {
  inbox: `${inboxPrefix}*`,
  models: 'models/*',
  latest: ofEveryModel(latestKey(model)),
  lease: ofEveryModel(leaseKey(model)),
  currentRound: ofEveryModel(currentRoundKey(model)),
  batches: `${ofEveryModel(parent(batchPrefix(model, digest)))}*`,
  pending: `${ofEveryModel(pendingPrefix(model))}*`,
  rounds: `${ofEveryModel(parent(roundPrefix(model, roundId)))}*`,
  versions: `${ofEveryModel(versionsPrefix(model))}*`,
  log: `${ofEveryModel(logPrefix(model))}*`,
  statistics: `${ofEveryModel(parent(statisticsPrefix(model, digest)))}*`,
  values: `${ofEveryModel(valuesPrefix(model))}*`,
  corpus: `${ofEveryModel(parent(corpusKey(model, digest)))}*`,
  records: `${ofEveryModel(recordsPrefix(model))}*`,
  failures: `${ofEveryModel(failuresPrefix(model))}*`,
  /** Failed starts. Only the function that counts them reads these. */
  stalls: `${ofEveryModel(`${modelPrefix(model)}stalls/`)}*`,
  /** Records of executions without a model. */
  strayRecords: 'records/*',
  failed: `${ofEveryModel(failedPrefix(model))}*`,
} as const;

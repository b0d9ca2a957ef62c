/** @file Object keys of every model, as patterns for policies. Where objects lie is said by the registry alone. */
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

/** Without the last segment, whatever stands for a digest or a round. */
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
  /** Failed starts, which nobody but the function that counts them looks at. */
  stalls: `${ofEveryModel(`${modelPrefix(model)}stalls/`)}*`,
  /** Records of executions of no model. */
  strayRecords: 'records/*',
  failed: `${ofEveryModel(failedPrefix(model))}*`,
} as const;

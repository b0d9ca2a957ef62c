export { conditionNumber } from './condition-number.js';
export { corpusSequences } from './corpus-sequences.js';
export { encodeSums, sumKeyMoments } from './moment-pass.js';
export { addShards, type MomentShards, sequencesOfShard, shardKey } from './moment-shards.js';
export { decodeSealed, encodeSealed, requireFloat64Tensor } from './sealed-tensors.js';
export { ensureStatistics, factorise, loadStatistics, type StatisticsResult } from './statistics.js';
export {
  hasFactor,
  type KeyMoment,
  type LayerInputs,
  listStatistics,
  onlyStored,
  readMoment,
  verifyFactor,
} from './statistics-file.js';
export { layerInputs } from './statistics-inputs.js';
export type { StatisticsRequest } from './statistics-request.js';
export { storeMean } from './stored-moments.js';

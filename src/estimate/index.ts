export { type EditEstimate, estimateEdits, type StageEstimate } from './estimate-edits.js';
export type { EstimateRequest } from './estimate-request.js';
export { readRates } from './rates.js';
export { readEstimateRequest } from './read-request.js';

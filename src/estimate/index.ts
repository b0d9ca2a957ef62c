export { calibrate, thisMachine } from './calibrate.js';

export { type EditEstimate, estimateEdits, type StageEstimate } from './estimate-edits.js';
export { type EstimateRequest, estimateDefaults } from './estimate-request.js';

export { machineOf, readRates } from './rates.js';
export type { Rates } from './rates-schema.js';

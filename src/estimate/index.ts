export { calibrate, thisMachine } from './calibrate.js';

export { type EditPlan, planEdits, type StagePlan } from './estimate-edits.js';
export { type PlanRequest, planDefaults } from './estimate-request.js';

export { machineOf, readRates } from './rates.js';
export type { Rates } from './rates-schema.js';

export { dropFiles, requireReadable } from './drop-file.js';
export type { Execution } from './execution.js';
export {
  type ExecutionRecord,
  type ExecutionResult,
  type HistoryEvent,
  listExecutions,
  readHistory,
  reapExecutions,
} from './execution-history.js';
export { loadWorkflow } from './load-workflow.js';
export { LocalWorkflow, type WorkflowListener } from './local-workflow.js';
export { type ModelStatus, readModelStatus } from './model-status.js';
export type { TaskProgress } from './run-task-process.js';
export { Slots } from './slots.js';
export { startSources } from './start-sources.js';
export { stateErrorOf } from './state-error.js';
export { type StateRun, stateRuns } from './state-runs.js';

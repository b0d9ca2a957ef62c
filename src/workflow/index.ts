export {
  type ExecutionInput,
  environmentNames,
  errorNames,
  executionInputSchema,
  exitCodes,
  type FunctionInput,
  type FunctionOutput,
  type FunctionStage,
  functionStages,
  payloads,
  taskStages,
} from './contract.js';
export type { Executions, StageDependencies } from './executions.js';
export { exitCodeOf } from './exit-code.js';
export { type PublishedRound, readPublishedRound } from './plan/published-round.js';
export { type BatchState, readBatchState } from './queue/batch-outcome.js';
export { findCurrentRound, redriveFailed } from './queue/current-round.js';
export { type InboxEntry, readInbox, refusalOf, stateOf } from './queue/inbox.js';
export { pendingNames, unitNamesBelow } from './queue/pending-units.js';
export { type RegisterModelRequest, registerModel } from './register-model.js';
export type { Registration } from './registration.js';
export { findRegistration, registeredModels } from './registration.js';
export { collectStage } from './stages/collect.js';
export { parseInput, stageFunctions } from './stages/function-stages.js';
export { ingestStage } from './stages/ingest.js';
export { judgeStage } from './stages/judge.js';
export { leaseStage } from './stages/lease.js';
export { notifyStage } from './stages/notify.js';
export { planStage } from './stages/plan.js';
export { publishStage } from './stages/publish.js';
export { runTask } from './tasks/run-task.js';

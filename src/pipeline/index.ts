/** @file The pipeline's face: what a command does, from statistics to a published version. */

export { defaultMemoryBudgetBytes } from '../editing/index.js';
export { type BatchState, readBatchState } from './batch-outcome.js';
export { conditionNumber } from './condition-number.js';
export { type ContextTemplatesRequest, contextTemplates } from './context-templates.js';
export {
  type ExecutionInput,
  environmentNames,
  exitCodes,
  type TaskInput,
  type TaskStage,
  taskInputSchema,
  taskStages,
} from './contract.js';
export { redriveFailed } from './current-round.js';
export { type EditRoundsRequest, editRounds, type RoundOutcome } from './edit-rounds.js';
export { type EditSession, type EditSessionRequest, openEditSession } from './edit-session.js';
export {
  evaluateVersion,
  type HookedSubject,
  type HookMeasures,
  type VersionEvaluation,
} from './evaluate-version.js';
export { type Executions, executionNameOf, type StageDependencies } from './executions.js';
export { explainGates, type PromptOpenings } from './explain-gates.js';
export { heldOutSequences } from './held-out-sequences.js';
export { batchLimitBytes } from './ingest-object.js';
export { type LayerChange, layerChanges } from './layer-changes.js';
export type { Execution, StateCall } from './local/execution.js';
export {
  type ExecutionRecord,
  type ExecutionResult,
  type HistoryEvent,
  listExecutions,
  readExecution,
  readHistory,
  reapExecutions,
} from './local/execution-history.js';
export { executionInputOf, type InboxWatcher, watchInbox } from './local/inbox-watcher.js';
export { loadWorkflow } from './local/load-workflow.js';
export { LocalWorkflow, type WorkflowListener } from './local/local-workflow.js';
export type { TaskProgress } from './local/run-task-process.js';
export { Slots } from './local/slots.js';
export { stateErrorOf } from './local/state-error.js';
export { type GateThresholds, type ModelCard, modelCardSchema } from './model-card.js';
export { type ModelStatus, readModelStatus, registeredModels } from './model-status.js';
export { calibrate, thisMachine } from './planning/calibrate.js';
export { inverseFactorFlops } from './planning/dense-work.js';
export type { Costs } from './planning/dollars.js';
export type { EditShape } from './planning/edit-shape.js';
export { GemmChain } from './planning/gemm-chain.js';
export { type EditPlan, planEdits, type StagePlan } from './planning/plan-edits.js';
export { type PlanRequest, planDefaults } from './planning/plan-request.js';
export { machineOf, type Rates, readRates } from './planning/rates.js';
export { type EffectiveRates, secondsOf } from './planning/seconds-of.js';
export { factorWork, momentWork } from './planning/statistics-work.js';
export { valuesWork } from './planning/values-work.js';
export { flopsOf } from './planning/work.js';
export { writeWork } from './planning/write-work.js';
export { type PresetSettings, presetFor, readPreset } from './presets.js';
export type { Listener, Progress } from './progress.js';
export { type PublishedRound, readPublishedRound } from './published-round.js';
export { type RegisterModelRequest, registerModel } from './register-model.js';
export { type Revocation, type RevokeEditsRequest, revokeEdits } from './revoke-edits.js';
export { type NotRestored, notRestored, type RevokeSelection, revokeSelection } from './revoke-selection.js';
export { readModelCard } from './round-files.js';
export { versionRow } from './round-report.js';
export { runTask } from './run-task.js';
export { withSequenceThresholds } from './sequence-thresholds.js';
export { collectStage } from './stages/collect.js';
export { parseInput, stageFunctions } from './stages/function-stages.js';
export { gateStage } from './stages/gate.js';
export { ingestStage } from './stages/ingest.js';
export { leaseStage } from './stages/lease.js';
export { notifyStage } from './stages/notify.js';
export { planStage } from './stages/plan.js';
export { publishStage } from './stages/publish.js';
export { ensureStatistics, loadStatistics, type StatisticsResult } from './statistics.js';
export { listStatistics } from './statistics-file.js';
export type { StatisticsRequest } from './statistics-request.js';
export type { TaskDependencies } from './task-dependencies.js';
export { type Trial, type TuneResult, tune } from './tune.js';
export { type ExportValidation, validateExport } from './validate-export.js';
export { rowsPerBatch } from './workbench.js';
export { activeEdits } from './written-edits.js';

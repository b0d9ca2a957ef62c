export { plannedContexts } from './context-templates.js';
export { type PublishCriteria, publishCriteriaSchema } from './criteria.js';
export { evaluateVersion, type VersionEvaluation, validateExport } from './evaluate-version.js';
export { explainGates, type PromptFirings } from './explain-gates.js';
export { unfitness } from './fit-edits.js';
export { heldOutSequences, heldOutTokens } from './held-out-sequences.js';
export { judgeRound } from './judge-round.js';
export { type LayerChange, layerChanges } from './layer-changes.js';
export { measureRound, roundMeasures, type WholeRound } from './measure-round.js';
export { digestOfModel } from './model-digest.js';
export { type Attempt, publishAttempt, rejectAttempt, rejectedReportKey } from './publish-round.js';
export {
  editSchema,
  type Judgement,
  judgementSchema,
  type RejectedEdits,
  type RoundMeasures,
  type RoundOutcomeRecord,
  type RoundPlan,
  rejectedEditsSchema,
  rejectedLineSchema,
  roundOutcomeSchema,
  roundPlanSchema,
  type SolveRecord,
  solveRecordSchema,
  type ValidationRecord,
  validationRecordSchema,
} from './records.js';
export { type Revocation, revokeEdits } from './revoke/revoke-edits.js';
export { type NotRestored, notRestored, type RevokeSelection, revokeSelection } from './revoke/revoke-selection.js';
export {
  earlierEdits,
  keptEdits,
  type NamedEdits,
  nameEdits,
  type RenamedEdit,
  renamedText,
} from './round-edits.js';
export { roundNotes } from './round-notes.js';
export { versionRow } from './round-report.js';
export { continuedSettings, requireSameModel, roundSettings } from './round-settings.js';
export { missingValues, searchMissingValues } from './search-values.js';
export { withSequenceThresholds } from './sequence-thresholds.js';
export type { RoundOutcome } from './session/edit-round.js';
export {
  type EditOptions,
  EditSession,
  type EditSessionRequest,
  openEditSession,
  type RevokeOptions,
} from './session/edit-session.js';
export { recordSolve, solveRound } from './solve-round.js';
export { type StudyResult, study } from './study/study.js';
export type { StudyGrid } from './study/study-cell.js';
export { companionsOf, earlierFacts, memoriesOf, subjectsOf } from './subjects.js';
export { type Trial, type TuneResult, tune } from './tuning/tune.js';
export { valueKeysOf } from './value-key.js';
export { Workbench } from './workbench.js';
export { activeEdits } from './written-edits.js';

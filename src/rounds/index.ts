export { compareGates, gateSeparation } from './compare-gates.js';

export { continuedSettings } from './continued-settings.js';
export { type PublishCriteria, publishCriteriaSchema } from './criteria.js';
export { type EditRoundsRequest, editRounds, type RoundOutcome } from './edit-rounds.js';
export { type EditSession, type EditSessionRequest, openEditSession } from './edit-session.js';
export { evaluateVersion, type VersionEvaluation } from './evaluate-version.js';
export { explainGates, type PromptFirings } from './explain-gates.js';
export { gateThresholds } from './gate-thresholds.js';
export { heldOutSequences } from './held-out-sequences.js';
export { judgeRound } from './judge-round.js';
export { type LayerChange, layerChanges } from './layer-changes.js';
export { digestOfModel, type OpenedModel, openModel } from './open-model.js';
export { type PresetSettings, presetFor } from './presets.js';
export { publishVersion } from './publish-version.js';
export {
  editSchema,
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
export { keptEdits, plannedContexts, removedIdsOf, valueKeysOf } from './round-inputs.js';
export { ancestorsOf, roundReport, versionRow } from './round-report.js';
export { withSequenceThresholds } from './sequence-thresholds.js';
export { readValue, type StoredValue, storeValue } from './stored-value.js';
export { type Trial, type TuneResult, tune } from './tuning/tune.js';
export { validateExport } from './validate-export.js';
export { type EarlierEdit, validateRound } from './validate-round.js';

export { solversOf, versionMetrics } from './version-metrics.js';
export { Workbench } from './workbench.js';
export { activeEdits } from './written-edits.js';

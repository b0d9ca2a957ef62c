export { overwrites, resolveConflicts } from './batch-conflicts.js';
export { printable } from './decode-line.js';
export { type Drift, measureDrift } from './drift.js';
export { completeEdit, contentId, type EditInput } from './edit-record.js';
export { comparable, factOf } from './fact.js';
export { askInChat, contextsInChat } from './in-chat.js';
export { decodeEdits, decodeKnown, type LiveAnswer } from './live-decoding.js';
export { type EditMeasurement, measureEdits, measureReliability, subjectPrompts } from './measure-edits.js';
export { type MetricRow, metricRows } from './metric-rows.js';
export { type BatchReading, parseBatch, type RejectedLine, readBatch } from './read-batch.js';
export { readParagraphs } from './read-text.js';
export { decimal, percent, ratio, yesNo } from './report/format-number.js';
export { html, Markup } from './report/html.js';
export { renderReport, renderStudy, roundCharts } from './report/on-demand.js';
export { pageStyle } from './report/page-style.js';
export type {
  EditRow,
  GateRow,
  GateSeparation,
  LayerRow,
  RejectedEditRow,
  ReportData,
  RevokedRow,
  RoundRow,
} from './report/report-data.js';
export { type StudyCell, splitText, weightText } from './report/study-data.js';
export { beginsInWord } from './subject-hole.js';
export { type EditSummary, mean, median, summarise } from './summary.js';

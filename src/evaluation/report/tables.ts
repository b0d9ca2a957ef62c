/** @file The report's plain tables. */

import type { RejectedLine } from '../read-batch.js';
import { bytes, decimal, percent, plain, ratio, seconds } from './format-number.js';
import { html, type Markup } from './html.js';
import type { CounterfactScores, GateRow, HyperparameterValue, LayerRow, RoundRow } from './report-data.js';

/** A column: its head, its cell, and whether it holds numbers. */
export interface Column<Row> {
  readonly head: string;
  readonly cell: (row: Row) => string | number | Markup;
  readonly isText?: boolean;
}

/** Rows under columns; short tables are only as wide as they need be. */
export function table<Row>(columns: readonly Column<Row>[], rows: readonly Row[], label: string): Markup {
  const kind = (column: Column<Row>) => (column.isText ? 'text' : 'number');
  return html`<div class="scroll ${columns.length > 6 ? '' : 'compact'}"><table aria-label="${label}">
<thead><tr>${columns.map((column) => html`<th scope="col" class="${kind(column)}">${column.head}</th>`)}</tr></thead>
<tbody>${rows.map((row) => html`<tr>${columns.map((column) => html`<td class="${kind(column)}">${column.cell(row)}</td>`)}</tr>\n`)}</tbody>
</table></div>`;
}

/** One line per round. */
export function roundsTable(rounds: readonly RoundRow[]): Markup {
  const columns: Column<RoundRow>[] = [
    { head: 'Round', cell: ({ round }) => round },
    { head: 'Version', cell: ({ version }) => version },
    { head: 'New', cell: ({ newEdits }) => decimal(newEdits) },
    { head: 'Reliability', cell: ({ reliability }) => percent(reliability) },
    { head: 'Said', cell: ({ said }) => percent(said) },
    { head: 'In chat', cell: ({ inChat }) => percent(inChat) },
    { head: 'Generality', cell: ({ generality }) => percent(generality) },
    { head: 'Locality', cell: ({ locality }) => percent(locality) },
    { head: 'Same subject', cell: ({ sameSubjectLocality }) => percent(sameSubjectLocality) },
    { head: 'Retention', cell: ({ retention }) => percent(retention) },
    { head: 'Perplexity', cell: ({ perplexityRatio }) => ratio(perplexityRatio) },
    { head: 'KL to base', cell: ({ klToBase }) => decimal(klToBase) },
    { head: 'Swap rate', cell: ({ swapRate }) => percent(swapRate) },
    { head: 'Time', cell: ({ seconds: duration }) => seconds(duration) },
  ];
  return table(columns, rounds, 'Metrics per round');
}

/** The same edits behind each gate. */
export function gatesTable(gates: readonly GateRow[]): Markup {
  const names = {
    key: 'key (all rows speak)',
    nearest: 'nearest (default: one row speaks)',
    sequence: 'sequence (the paper’s)',
    none: 'none',
  } as const;
  const columns: Column<GateRow>[] = [
    { head: 'Gate', cell: ({ gate }) => names[gate] ?? String(gate), isText: true },
    { head: 'Reliability', cell: ({ reliability }) => percent(reliability) },
    { head: 'Generality', cell: ({ generality }) => percent(generality) },
    { head: 'Locality', cell: ({ locality }) => percent(locality) },
    { head: 'Same subject', cell: ({ sameSubjectLocality }) => percent(sameSubjectLocality) },
    { head: 'Perplexity', cell: ({ perplexityRatio }) => ratio(perplexityRatio) },
  ];
  return table(columns, gates, 'Gates compared');
}

/** One line per hooked layer. */
export function layersTable(layers: readonly LayerRow[]): Markup {
  const columns: Column<LayerRow>[] = [
    { head: 'Layer', cell: ({ layer }) => layer },
    { head: 'Rows', cell: ({ edits }) => decimal(edits) },
    { head: 'Relative change |dW|/|W|', cell: ({ relativeChange }) => percent(relativeChange) },
    { head: 'Written share, median', cell: ({ writtenShareMedian }) => percent(writtenShareMedian) },
    { head: 'Size', cell: ({ sizeBytes }) => bytes(sizeBytes) },
  ];
  return table(columns, layers, 'Hooked layers');
}

/** The four scores of the CounterFact protocol. */
export function counterfactTable(scores: CounterfactScores): Markup {
  const columns: Column<CounterfactScores>[] = [
    { head: 'Efficacy success', cell: ({ efficacySuccess }) => percent(efficacySuccess) },
    { head: 'Paraphrase success', cell: ({ paraphraseSuccess }) => percent(paraphraseSuccess) },
    { head: 'Neighbourhood success', cell: ({ neighborhoodSuccess }) => percent(neighborhoodSuccess) },
    { head: 'Score (harmonic mean)', cell: ({ score }) => percent(score) },
  ];
  return table(columns, [scores], 'CounterFact protocol');
}

/** Lines of the batch that were not taken, with the reason. */
export function rejectedTable(rejected: readonly RejectedLine[]): Markup {
  const columns: Column<RejectedLine>[] = [
    { head: 'Line', cell: ({ lineNumber }) => lineNumber },
    { head: 'Reason', cell: ({ reason }) => reason, isText: true },
    { head: 'Begins with', cell: ({ excerpt }) => html`<code>${excerpt}</code>`, isText: true },
  ];
  return table(columns, rejected, 'Rejected lines');
}

/** Settings as a definition list. */
export function hyperparameterList(hyperparameters: Readonly<Record<string, HyperparameterValue>>): Markup {
  const entries = Object.entries(hyperparameters);
  return html`<dl class="settings">${entries.map(([name, value]) => html`<div><dt>${name}</dt><dd>${settingText(value)}</dd></div>`)}</dl>`;
}

function settingText(value: HyperparameterValue): string {
  if (typeof value === 'number') return plain(value);
  if (Array.isArray(value)) return value.join(', ') || '–';
  return value === null ? '–' : String(value);
}

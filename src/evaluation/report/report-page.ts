/** @file Puts the report's sections together into one HTML file. */
import { editsTable, rejectedEditsTable } from './edits-table.js';
import { decimal, isMeasured } from './format-number.js';
import { html, type Markup } from './html.js';
import { closingSections, createdText, modelFacts, page, pageHeader, section } from './page-frame.js';
import type { ReportData } from './report-data.js';
import { changesTable, revokedTable } from './revocation-tables.js';
import { retentionChart, roundsChart } from './round-charts.js';
import { separationChart } from './separation-chart.js';
import { summaryTiles } from './summary-tiles.js';
import { counterfactTable, gatesTable, layersTable, rejectedTable, roundsTable } from './tables.js';
import { valueSearchChart, writtenShareChart } from './writing-charts.js';

/** As `renderReport` of the face says, which loads this file. */
export function reportPage(data: ReportData): string {
  return page(
    data.title,
    html`${header(data)}
${summaryTiles(data)}
${revocationSections(data)}
${roundsSection(data)}
${gateSection(data)}
${layersSection(data)}
${section('Edits', data.edits.length > 0 && editsTable(data.edits))}
${section('Rejected edits', data.rejectedEdits.length > 0 && rejectedEditsTable(data.rejectedEdits))}
${section('Rejected lines', data.rejected.length > 0 && rejectedTable(data.rejected))}
${closingSections(data)}`,
  );
}

function header(data: ReportData): Markup {
  return pageHeader(data.title, summary(data), [
    ...modelFacts(data.model),
    ['Version', String(data.version)],
    ['Made on', data.parent === null || data.parent === undefined ? 'the base model' : `version ${data.parent}`],
    ['Created', createdText(data.createdAt)],
  ]);
}

function summary({ edits, rounds, required, rejectedEdits, rejected, revocation }: ReportData): Markup {
  if (revocation) {
    const { edits: revoked, kept } = revocation;
    return html`<strong>${count(revoked.length, 'edit')} revoked</strong>, ${kept === 0 ? 'none is left' : `${count(kept, 'edit')} left`}; nothing was written.`;
  }
  if (edits.length === 0 && rounds.length === 0) return html`Nothing was edited.`;
  const failed = edits.filter(({ status }) => status === 'failed').length;
  const round = rounds.at(-1)?.round;
  const parts = [html`<strong>${count(edits.length, 'edit')}</strong>${round !== undefined && ` in round ${round}`}`];
  if (required === undefined) parts.push(html`, not judged`);
  if (failed > 0) parts.push(html`, <strong>${decimal(failed)} failed</strong>`);
  if (rejectedEdits.length > 0) parts.push(html`, <strong>${decimal(rejectedEdits.length)} rejected</strong>`);
  if (required !== undefined && failed + rejectedEdits.length === 0) parts.push(html`, none failed`);
  if (rejected.length > 0) parts.push(html`; ${count(rejected.length, 'line')} of the input rejected`);
  return html`${parts}.`;
}

function count(number: number, noun: string): string {
  return `${decimal(number)} ${noun}${number === 1 ? '' : 's'}`;
}

function revocationSections({ revocation }: ReportData): Markup {
  if (!revocation) return html``;
  const { edits, kept, changes } = revocation;
  return html`<section><h2>Revoked edits</h2>${revokedTable(edits)}</section>
${section('The other edits', kept > 0 && changesTable(changes))}`;
}

function roundsSection({ rounds, counterfact }: ReportData): Markup {
  if (rounds.length === 0) return html``;
  return html`<section><h2>Rounds</h2>
<div class="charts">${roundsChart(rounds)}${retentionChart(rounds)}</div>
${roundsTable(rounds)}</section>
${section('CounterFact protocol', counterfact ? counterfactTable(counterfact) : false)}`;
}

function gateSection({ gates, gateSeparation }: ReportData): Markup {
  if (gates.length === 0 && !gateSeparation) return html``;
  return html`<section><h2>Gate</h2>
${gates.length > 0 && html`<p class="lead">The same edits, behind each kind of gate.</p>${gatesTable(gates)}`}
${gateSeparation && separationChart(gateSeparation)}</section>`;
}

function layersSection({ layers, edits, valueSearch }: ReportData): Markup {
  const writtenShares = edits.map(({ writtenShare }) => writtenShare).filter(isMeasured);
  const charts = [
    ...(writtenShares.length > 0 ? [writtenShareChart(writtenShares)] : []),
    ...(valueSearch && valueSearch.steps.length + valueSearch.losses.length > 0 ? [valueSearchChart(valueSearch)] : []),
  ];
  if (layers.length === 0 && charts.length === 0) return html``;
  return html`<section><h2>Layers and writing</h2>
${layers.length > 0 && layersTable(layers)}
${charts.length > 0 && html`<div class="charts">${charts}</div>`}</section>`;
}

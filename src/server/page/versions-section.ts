/** @file The versions of one model as a part of the page: a table, charts over rounds, and prompts to try. */
import {
  decimal,
  html,
  type Markup,
  percent,
  type RoundRow,
  ratio,
  roundCharts,
  yesNo,
} from '../../evaluation/index.js';
import type { Manifest, VersionListing, VersionSummary } from '../../registry/index.js';
import { versionRow } from '../../rounds/index.js';

/** How many prompts the page suggests; they come from the newest edits. */
const promptsShown = 5;

/** Renders the section as HTML, which the page's script inserts. @param current the version that is served */
export async function renderVersions(
  modelId: string,
  listing: VersionListing,
  current: Manifest | undefined,
): Promise<string> {
  const { published, damaged } = listing;
  const rows = published.map(versionRow);
  if (published.length + damaged.length === 0)
    return html`<p class="lead">${modelId} has no version yet: the base model answers.</p>`.text;
  return html`${prompts(current)}
${versionsTable(modelId, published, rows, current?.version)}
${newestEdits(current)}
${damaged.map(({ version, problem }) => html`<p class="lead failed">Version ${version} is damaged: ${problem}</p>`)}
<div class="charts">${await roundCharts(rows)}</div>`.text;
}

function prompts(current: Manifest | undefined): Markup {
  const active = (current?.edits ?? []).filter(({ status }) => status === 'active').slice(-promptsShown);
  const button = ({ prompt, subject }: Manifest['edits'][number]) => {
    const text = prompt.replace('{}', () => subject);
    return html`<button type="button" class="prompt" data-prompt="${text}">${text}</button> `;
  };
  return html`<div id="prompts" aria-label="Prompts of edits">${active.map(button)}</div>`;
}

/** How many edits the page lists; the report of a version has all of its round. */
const editsShown = 20;

function newestEdits(current: Manifest | undefined): Markup {
  const active = (current?.edits ?? []).filter(({ status }) => status === 'active');
  if (active.length === 0) return html``;
  const row = ({ prompt, subject, targetNew, version, said, inChat }: Manifest['edits'][number]) =>
    html`<tr><td class="text">${prompt.replace('{}', () => subject)} → ${targetNew}</td><td class="number">${version}</td><td class="text">${yesNo(said)}</td><td class="text">${yesNo(inChat)}</td></tr>`;
  return html`<h3>Newest of ${decimal(active.length)} edits</h3>
<div class="scroll compact" tabindex="0" role="region" aria-label="Newest edits"><table id="newest">
<thead><tr><th scope="col">Fact</th><th scope="col" class="number">Written by version</th><th scope="col">Said</th><th scope="col">In chat</th></tr></thead>
<tbody>${active.slice(-editsShown).reverse().map(row)}</tbody></table></div>`;
}

/** A table column: its heading, and a function that makes its cell. */
type Column = readonly [string, (version: VersionSummary, row: RoundRow) => string | number | Markup];

function versionsTable(
  modelId: string,
  published: readonly VersionSummary[],
  rows: readonly RoundRow[],
  serving: number | undefined,
): Markup {
  const columns: readonly Column[] = [
    ['Published', ({ createdAt }) => createdAt.slice(0, 16).replace('T', ' ')],
    ['On', ({ parent }) => parent ?? 'base'],
    ['Edits', ({ activeEdits }) => decimal(activeEdits)],
    ['New', (_, row) => decimal(row.newEdits)],
    ['Reliability', (_, row) => percent(row.reliability)],
    ['Said', (_, row) => percent(row.said)],
    ['In chat', (_, row) => percent(row.inChat)],
    ['Generality', (_, row) => percent(row.generality)],
    ['Locality', (_, row) => percent(row.locality)],
    ['Same subject', (_, row) => percent(row.sameSubjectLocality)],
    ['Retention', (_, row) => percent(row.retention)],
    ['Perplexity', (_, row) => ratio(row.perplexityRatio)],
    ['KL to base', (_, row) => decimal(row.klToBase)],
    ['Report', ({ version }) => reportLink(modelId, version)],
  ];
  const line = (version: VersionSummary, index: number) => html`<tr data-version="${version.version}">
<th scope="row">${version.version}${version.version === serving && html` <span class="badge applied">serving</span>`}</th>
${columns.map(([, cell]) => html`<td class="number">${cell(version, rows[index])}</td>`)}</tr>`;
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Versions and their metrics"><table id="versions">
<thead><tr><th scope="col">Version</th>${columns.map(([head]) => html`<th scope="col" class="number">${head}</th>`)}</tr></thead>
<tbody>${published.map(line).reverse()}</tbody></table></div>`;
}

const reportLink = (modelId: string, version: number): Markup =>
  html`<a href="/versions/${version}/report?model=${modelId}" target="_blank" rel="noopener" aria-label="Report of version ${version}">report</a>`;

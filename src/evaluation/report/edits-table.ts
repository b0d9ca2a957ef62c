/** @file The per-edit table: filtered and sorted in the page. */
import { decimal, fraction, isMeasured, NOT_MEASURED, percent, yesNo } from './format-number.js';
import { html, type Markup } from './html.js';
import type { EditRow, Metric, RejectedEditRow } from './report-data.js';
import { type Column, table } from './tables.js';

interface EditColumn {
  readonly head: string;
  readonly cell: (edit: EditRow) => string | number | Markup;
  /** What the column is sorted by. */
  readonly sortBy: (edit: EditRow) => string | number | null | undefined;
  readonly isText?: boolean;
}

const columns: readonly EditColumn[] = [
  {
    head: 'Status',
    cell: ({ status }) => html`<span class="badge ${status}">${status}</span>`,
    sortBy: ({ status }) => status,
    isText: true,
  },
  { head: 'Round', cell: ({ round }) => round, sortBy: ({ round }) => round },
  { head: 'Fact', cell: fact, sortBy: ({ subject }) => subject, isText: true },
  { head: 'Target', cell: target, sortBy: ({ targetNew }) => targetNew, isText: true },
  { head: 'Generated', cell: generated, sortBy: ({ after }) => after, isText: true },
  { head: 'Said', cell: ({ said }) => yesNo(said), sortBy: ({ said }) => yesNo(said), isText: true },
  { head: 'In chat', cell: ({ inChat }) => yesNo(inChat), sortBy: ({ inChat }) => yesNo(inChat), isText: true },
  { head: 'Reliability', cell: ({ reliability }) => percent(reliability), sortBy: ({ reliability }) => reliability },
  {
    head: 'Paraphrases',
    cell: ({ paraphrasesRight, paraphrasesTotal }) => fraction(paraphrasesRight, paraphrasesTotal),
    sortBy: ({ paraphrasesRight, paraphrasesTotal }) => quotient(paraphrasesRight, paraphrasesTotal),
  },
  {
    head: 'Neighbours',
    cell: ({ neighborhoodKept, neighborhoodTotal }) => fraction(neighborhoodKept, neighborhoodTotal),
    sortBy: ({ neighborhoodKept, neighborhoodTotal }) => quotient(neighborhoodKept, neighborhoodTotal),
  },
  { head: 'Gate', cell: gate, sortBy: ({ similarity }) => similarity },
  { head: 'Written', cell: ({ writtenShare }) => percent(writtenShare), sortBy: ({ writtenShare }) => writtenShare },
];

/** Every edit with its text before and after; failed ones stand out. */
export function editsTable(edits: readonly EditRow[]): Markup {
  const statuses = [...new Set(edits.map(({ status }) => status))].sort();
  return html`<div class="controls" hidden>
<input id="edit-filter" type="search" placeholder="Filter by any text" aria-label="Filter edits">
<select id="edit-status" aria-label="Status"><option value="">all statuses</option>${statuses.map((status) => html`<option>${status}</option>`)}</select>
<output id="edit-count"></output>
</div>
<div class="scroll"><table id="edits" aria-label="Edits">
<thead><tr>${columns.map((column) => html`<th scope="col" class="${kindOf(column)}">${column.head}</th>`)}</tr></thead>
<tbody>${edits.map(row)}</tbody>
</table></div>`;
}

function row(edit: EditRow): Markup {
  return html`<tr id="edit-${edit.id}" data-status="${edit.status}">${columns.map(
    (column) =>
      html`<td class="${kindOf(column)}" data-label="${column.head}" data-sort="${sortKey(column.sortBy(edit))}">${column.cell(edit)}</td>`,
  )}</tr>
`;
}

function kindOf(column: EditColumn): string {
  return column.isText ? 'text' : 'number';
}

function sortKey(value: string | number | null | undefined): string | number {
  return typeof value === 'number' && !Number.isFinite(value) ? '' : (value ?? '');
}

/** A prompt with its subject in bold, and the edit's id. */
export function fact({ subject, prompt, id }: Pick<EditRow, 'subject' | 'prompt' | 'id'>): Markup {
  const hole = prompt.indexOf('{}');
  const [before, after] = hole < 0 ? [prompt, ''] : [prompt.slice(0, hole), prompt.slice(hole + 2)];
  return html`<div>${before}<b>${hole < 0 ? '' : subject}</b>${after}</div><div class="id">${id}</div>`;
}

function target({ targetNew, targetTrue }: EditRow): Markup {
  return html`<div class="new">${targetNew}</div>${targetTrue ? html`<div class="old">${targetTrue}</div>` : ''}`;
}

function generated({ before, after, chatText }: EditRow): Markup {
  const turn = (name: string, text: string | null | undefined, kind = '') =>
    html`<div class="turn ${kind}"><i>${name}</i><span>${text?.trim() ?? NOT_MEASURED}</span></div>`;
  const inChat = chatText === undefined ? '' : turn('in chat', chatText, 'after');
  return html`${turn('before', before)}${turn('after', after, 'after')}${inChat}`;
}

/** Edits that are not in the table above, each with the reason. */
export function rejectedEditsTable(edits: readonly RejectedEditRow[]): Markup {
  const rejectedColumns: Column<RejectedEditRow>[] = [
    { head: 'Fact', cell: fact, isText: true },
    { head: 'Target', cell: ({ targetNew }) => targetNew, isText: true },
    { head: 'Reason', cell: ({ reason }) => reason, isText: true },
  ];
  return table(rejectedColumns, edits, 'Rejected edits');
}

function gate({ id, firedBy, similarity }: EditRow): Markup {
  if (!firedBy) return html`<div>${decimal(rounded(similarity))}</div><div class="id">closed</div>`;
  const name = firedBy === id ? 'itself' : html`<a href="#edit-${firedBy}">${firedBy}</a>`;
  return html`<div>${decimal(rounded(similarity))}</div><div class="id">by ${name}</div>`;
}

function rounded(similarity: Metric): Metric {
  return isMeasured(similarity) ? Math.round(similarity * 1000) / 1000 : similarity;
}

function quotient(part: Metric, total: Metric): number | undefined {
  return isMeasured(part) && isMeasured(total) && total > 0 ? part / total : undefined;
}

/** @file What a revocation did: to the edits that are gone, and to those that stay. */
import { fact } from './edits-table.js';
import { isMeasured, percent } from './format-number.js';
import { html, type Markup } from './html.js';
import type { ChangeRow, Metric, RevokedRow } from './report-data.js';
import { type Column, table } from './tables.js';

/** The revoked edits: what the model said of them before and says now. */
export function revokedTable(edits: readonly RevokedRow[]): Markup {
  const columns: Column<RevokedRow>[] = [
    { head: 'Fact', cell: fact, isText: true },
    { head: 'Target', cell: target, isText: true },
    { head: 'Written by', cell: ({ writtenBy }) => `version ${writtenBy}` },
    { head: 'Reliability', cell: (edit) => change(edit.reliabilityBefore, edit.reliabilityAfter) },
    { head: 'As the base model', cell: ({ baseAgreement }) => percent(baseAgreement) },
    { head: 'Gate now', cell: ({ firedBy }) => (firedBy ? html`by <span class="id">${firedBy}</span>` : 'closed') },
    { head: 'Generated', cell: generated, isText: true },
  ];
  return html`<p class="lead">As the base model: share of the most probable tokens on the edit prompt and its paraphrases that are the base model’s. It is 100 % where no other edit’s gate opens.</p>
${table(columns, edits, 'Revoked edits')}`;
}

/** The edits that stay, before and after. */
export function changesTable(changes: readonly ChangeRow[]): Markup {
  const columns: Column<ChangeRow>[] = [
    { head: 'Metric', cell: ({ metric }) => metric, isText: true },
    { head: 'Before', cell: ({ before }) => percent(before) },
    { head: 'Now', cell: ({ after }) => percent(after) },
    { head: 'Edits that fell', cell: ({ before, fallen }) => (isMeasured(before) ? fallen : percent(null)) },
    { head: 'Worst change', cell: worst, isText: true },
  ];
  return table(columns, changes, 'The other edits');
}

const change = (before: Metric, after: Metric): string => `${percent(before)} → ${percent(after)}`;

function target({ targetNew, overwrote }: RevokedRow): Markup {
  const note =
    overwrote && html`<div>had overwritten ${overwrote.targetNew} <span class="id">${overwrote.id}</span></div>`;
  return html`<div class="old">${targetNew}</div>${note}`;
}

function generated({ textBefore, textAfter, textBase }: RevokedRow): Markup {
  const turn = (name: string, text: string, kind = '') =>
    html`<div class="turn ${kind}"><i>${name}</i><span>${text.trim()}</span></div>`;
  const base = textAfter === textBase ? turn('base', 'the same as now') : turn('base', textBase);
  return html`${turn('before', textBefore)}${turn('now', textAfter, 'after')}${base}`;
}

function worst({ before, worst: fallen }: ChangeRow): Markup | string {
  if (!isMeasured(before)) return percent(null);
  if (!fallen) return 'none fell';
  return html`${change(fallen.before, fallen.after)} <span class="id">${fallen.id}</span>`;
}

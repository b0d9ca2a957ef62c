/** @file The page around a report: style, script, security policy, and the sections that every report ends with. */
import { createHash } from 'node:crypto';
import { decimal } from './format-number.js';
import { html, Markup } from './html.js';
import { pageScript } from './page-script.js';
import { pageStyle } from './page-style.js';
import type { ReportData } from './report-data.js';
import { hyperparameterList } from './tables.js';

/** One self-contained HTML page. */
export function page(title: string, content: Markup): string {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${securityPolicy()}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title}</title>
<link rel="icon" href="data:,">
<style>${new Markup(pageStyle)}</style>
</head>
<body>
<main>
${content}
<footer>Written by hookline. Shares that were not measured are shown as –.</footer>
</main>
<script>${new Markup(pageScript)}</script>
</body>
</html>
`.text;
}

function securityPolicy(): string {
  const digest = createHash('sha256').update(pageScript).digest('base64');
  return `default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-${digest}'; img-src data:; base-uri 'none'; form-action 'none'`;
}

/** A fact above a report: its name and its text. */
export type HeaderFact = readonly [name: string, text: string | Markup];

/** Title, summary and facts. */
export function pageHeader(title: string, lead: Markup, facts: readonly HeaderFact[]): Markup {
  return html`<header><h1>${title}</h1>
<p class="lead">${lead}</p>
<dl class="facts">${facts.map(([name, text]) => html`<div><dt>${name}</dt><dd>${text}</dd></div>`)}</dl></header>`;
}

/** What is told of the edited model. */
export const modelFacts = ({ name, digest, hookedLayers, dModel, dInner }: ReportData['model']): HeaderFact[] => [
  ['Model', name],
  ['Digest', html`<span class="digest" title="${digest}">${shortDigest(digest)}</span>`],
  ['Hooked layers', hookedLayers.join(', ') || '–'],
  ['Width, inner width', `${decimal(dModel)}, ${decimal(dInner)}`],
];

/** A section with its heading; nothing without content. */
export function section(title: string, content: Markup | false): Markup {
  return content === false ? html`` : html`<section><h2>${title}</h2>${content}</section>`;
}

/** The settings, and sentences for the reader. */
export function closingSections({ hyperparameters, notes }: Pick<ReportData, 'hyperparameters' | 'notes'>): Markup {
  return html`${section('Settings', Object.keys(hyperparameters).length > 0 && hyperparameterList(hyperparameters))}
${section('Notes', notes.length > 0 && html`<ul class="notes">${notes.map((note) => html`<li>${note}</li>`)}</ul>`)}`;
}

function shortDigest(digest: string): string {
  return digest.length > 19 ? `${digest.slice(0, 19)}…` : digest;
}

/** An ISO 8601 time, to the minute. */
export function createdText(createdAt: string): string {
  const time = new Date(createdAt);
  return Number.isNaN(time.getTime()) ? createdAt : `${time.toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}

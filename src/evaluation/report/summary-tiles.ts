/** @file The tiles on top of the report: the latest numbers, and what the criteria require of them. */
import { isMeasured, percent, ratio } from './format-number.js';
import { html, type Markup } from './html.js';
import type { MeasureField, Metric, ReportData } from './report-data.js';

interface Tile {
  readonly name: string;
  readonly field: MeasureField;
  readonly explanation: string;
  /** Whether more is better. */
  readonly isShareToReach: boolean;
  readonly format: (metric: Metric) => string;
}

const tiles: readonly Tile[] = [
  reach('Reliability', 'reliability', 'new answers given on the edit prompts'),
  reach('Said', 'said', 'targets generated to the word’s end'),
  reach('In chat', 'inChat', 'targets in the answers of a chat'),
  reach('Generality', 'generality', 'new answers given on paraphrases'),
  reach('Locality', 'locality', 'answers about other subjects unchanged'),
  reach('Same-subject locality', 'sameSubjectLocality', 'other facts of edited subjects unchanged'),
  reach('Retention', 'retention', 'earlier rounds’ edits still there'),
  stayBelow('Perplexity', 'perplexityRatio', 'of held-out text, over the base model', ratio),
  stayBelow('Swap rate', 'swapRate', 'of ordinary tokens pass the gate', percent),
];

function reach(name: string, field: MeasureField, explanation: string): Tile {
  return { name, field, explanation, isShareToReach: true, format: percent };
}

function stayBelow(name: string, field: MeasureField, explanation: string, format: Tile['format']): Tile {
  return { name, field, explanation, isShareToReach: false, format };
}

/** One tile for each headline metric of the last round, green or red where a criterion is on it; empty without rounds. */
export function summaryTiles({ rounds, required = {} }: ReportData): Markup {
  const last = rounds.at(-1);
  if (last === undefined) return html``;
  return html`<div class="tiles">${tiles.map((tile) => renderTile(tile, last[tile.field], required[tile.field]))}</div>`;
}

function renderTile(tile: Tile, metric: Metric, threshold: number | undefined): Markup {
  const [state, requirement] = verdictOf(tile, metric, threshold);
  return html`<div class="tile ${state}">
<div class="tile-name">${tile.name}</div>
<div class="tile-value">${tile.format(metric)}</div>
<div class="tile-verdict">${requirement}</div>
<div class="tile-explanation">${tile.explanation}</div>
</div>`;
}

function verdictOf({ isShareToReach, format }: Tile, metric: Metric, threshold: number | undefined) {
  if (!isMeasured(metric)) return ['unknown', 'not measured'];
  if (threshold === undefined) return ['', 'no criterion'];
  const passes = isShareToReach ? metric >= threshold : metric <= threshold;
  return [passes ? 'pass' : 'fail', `${passes ? '✓' : '✗'} ${isShareToReach ? '≥' : '≤'} ${format(threshold)}`];
}

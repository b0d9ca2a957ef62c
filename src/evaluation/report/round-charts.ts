/** @file Charts over rounds: quality, retention and perplexity. */
import { axis, axisName, CHART_WIDTH, legend, line, margins, panelTitle, shareAxisFor } from './chart-parts.js';
import { drawChart } from './draw-chart.js';
import { isMeasured } from './format-number.js';
import { extent } from './histogram.js';
import type { Markup } from './html.js';
import type { RoundRow } from './report-data.js';

const size = { width: CHART_WIDTH, height: 320 };
const qualities = [
  ['Reliability', 'reliability'],
  ['Generality', 'generality'],
  ['Locality', 'locality'],
  ['Same subject', 'sameSubjectLocality'],
  ['Said', 'said'],
] as const;

/** Shares of 0..1 after each round. */
export function roundsChart(rounds: readonly RoundRow[]): Markup {
  const caption = 'Each round right after it was written; lines should stay near the top.';
  const shown = qualities.filter(([, field]) => rounds.some((round) => isMeasured(round[field])));
  const values = shown.flatMap(([, field]) => rounds.map((round) => round[field])).filter(isMeasured);
  return drawChart('Quality per round', caption, size, {
    legend,
    grid: { ...margins, top: 44 },
    xAxis: roundAxis(rounds),
    yAxis: shareAxisFor(values, 5),
    series: shown.map(([name, field]) => {
      const color = qualities.findIndex(([, quality]) => quality === field);
      return line(
        name,
        rounds.map((round) => round[field]),
        color,
      );
    }),
  });
}

/** What earlier rounds keep, and what ordinary text loses: two panels over one axis of rounds. */
export function retentionChart(rounds: readonly RoundRow[]): Markup {
  const caption =
    'Reliability of all earlier rounds’ edits; held-out perplexity over the base model’s (1 is unchanged).';
  const retention = rounds.map((round) => round.retention);
  const perplexity = rounds.map((round) => round.perplexityRatio);
  const [, highest] = extent(perplexity.filter(isMeasured)) ?? [1, 1];
  return drawChart('Retention and perplexity', caption, size, {
    title: [panelTitle('Retention of earlier rounds', 0), panelTitle('Perplexity ratio', 150)],
    grid: [
      { ...margins, top: 32, height: 92 },
      { ...margins, top: 184 },
    ],
    xAxis: [
      { ...roundAxis(rounds), name: '', gridIndex: 0, axisLabel: { show: false } },
      { ...roundAxis(rounds), gridIndex: 1 },
    ],
    yAxis: [
      { ...shareAxisFor(retention.filter(isMeasured), 2), gridIndex: 0 },
      { ...axis, type: 'value', gridIndex: 1, scale: true, splitNumber: 3, ...(highest <= 1.02 && { max: 1.02 }) },
    ],
    series: [
      { ...line('Retention', retention, 0), xAxisIndex: 0, yAxisIndex: 0 },
      { ...line('Perplexity ratio', perplexity, 3), xAxisIndex: 1, yAxisIndex: 1 },
    ],
  });
}

function roundAxis(rounds: readonly RoundRow[]) {
  return { ...axis, type: 'category', data: rounds.map(({ round }) => String(round)), ...axisName('round') };
}

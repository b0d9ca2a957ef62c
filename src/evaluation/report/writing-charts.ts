/** @file How well edits were searched and written: histograms of the written share and of the value search. */
import { axis, axisName, bars, CHART_WIDTH, margins } from './chart-parts.js';
import { drawChart } from './draw-chart.js';
import { decimal } from './format-number.js';
import { extent, type Histogram, histogram } from './histogram.js';
import type { Markup } from './html.js';
import type { ValueSearchCourse } from './report-data.js';

const BINS = 20;

/** How much of each edit's residual was really written. */
export function writtenShareChart(writtenShares: readonly number[]): Markup {
  const [low, high] = extent(writtenShares) ?? [0, 1];
  const counted = histogram(writtenShares, Math.min(0, low), Math.max(1, high), BINS);
  const caption =
    `Share of each residual that the solve wrote, median ${decimal(median(writtenShares))}. ` +
    'Low shares mean that the moment weight is too large for this model.';
  return histogramChart('Written share', caption, counted, 2, 'written share');
}

/** How the value search ended: its final losses, or its steps where no loss is known. */
export function valueSearchChart({ steps, losses }: ValueSearchCourse): Markup {
  const work = steps.length > 0 ? `, after ${decimal(Math.round(mean(steps)))} steps on average` : '';
  if (!losses.some(Number.isFinite)) {
    const upper = BINS * Math.max(1, Math.ceil((extent(steps)?.[1] ?? 1) / BINS));
    return histogramChart('Value search', `Edits finished${work}.`, histogram(steps, 0, upper, BINS), 4, 'steps');
  }
  const caption = `Loss at the end of each edit’s value search, median ${decimal(median(losses))}${work}.`;
  const upper = niceCeiling(extent(losses)?.[1] ?? 1);
  return histogramChart('Value search', caption, histogram(losses, 0, upper, BINS), 4, 'final loss');
}

function histogramChart(title: string, caption: string, counted: Histogram, color: number, name: string): Markup {
  const { low, width, counts } = counted;
  const x = { ...axis, type: 'value', min: low, max: low + width * counts.length, splitLine: { show: false } };
  const y = { ...axis, type: 'value', name: 'edits', axisLine: { show: false }, minInterval: 1 };
  return drawChart(
    title,
    caption,
    { width: CHART_WIDTH, height: 280 },
    {
      grid: { ...margins, top: 28 },
      xAxis: { ...x, ...axisName(name) },
      yAxis: { ...y, ...(Math.max(...counts) === 0 && { max: 1 }) },
      series: [bars(counted, color)],
    },
  );
}

/** The least of 1, 2, 5 times a power of ten that is not below. */
function niceCeiling(value: number): number {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return power * ([1, 2, 5].find((step) => step * power >= value) ?? 10);
}

function mean(sample: readonly number[]): number {
  return sample.reduce((sum, value) => sum + value, 0) / sample.length;
}

function median(sample: readonly number[]): number {
  const sorted = sample.filter(Number.isFinite).sort((one, other) => one - other);
  const middle = (sorted.length - 1) / 2;
  return (sorted[Math.floor(middle)] + sorted[Math.ceil(middle)]) / 2;
}

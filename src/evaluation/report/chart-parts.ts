/** @file What the charts are made of: axes, titles and series in the report's style. */
import { ink } from './draw-chart.js';
import { isMeasured } from './format-number.js';
import { extent, type Histogram, shares } from './histogram.js';
import type { Metric } from './report-data.js';

/** Width of a chart that stands beside another, in CSS pixels. */
export const CHART_WIDTH = 560;
/** Names of series, above the plot at its left. */
export const legend = {
  top: 0,
  left: 0,
  itemGap: 12,
  itemWidth: 16,
  itemHeight: 9,
  textStyle: { color: ink.text, fontSize: 12 },
} as const;

/** Room beside the plot for labels, in CSS pixels. */
export const margins = { left: 48, right: 20, bottom: 44 } as const;

/** Style of every axis. */
export const axis = {
  axisLine: { show: true, lineStyle: { color: ink.line } },
  axisTick: { show: false },
  axisLabel: { color: ink.muted, fontSize: 12 },
  nameTextStyle: { color: ink.muted, fontSize: 12 },
  splitLine: { lineStyle: { color: ink.line, opacity: 0.6 } },
} as const;

/** An axis of shares, written in percent. */
export const shareAxis = {
  ...axis,
  type: 'value',
  axisLine: { show: false },
  axisLabel: { ...axis.axisLabel, formatter: axisPercent },
} as const;

/** A tick of a share axis. */
export function axisPercent(share: number): string {
  return `${Number((100 * share).toPrecision(3))}%`;
}

/** A share axis that ends at 100 % and begins low enough for all values, at 50 % or below. */
export function shareAxisFor(values: readonly number[], intervals: number) {
  const [lowest] = extent(values) ?? [0];
  const min = lowest >= 0.5 ? 0.5 : 0;
  return { ...shareAxis, min, max: 1, interval: (1 - min) / intervals };
}

/** A name in the middle below a horizontal axis. */
export function axisName(name: string) {
  return { name, nameLocation: 'middle', nameGap: 26 };
}

/** A title of one panel of a chart. */
export function panelTitle(text: string, top: number) {
  return { text, top, left: 0, padding: 0, textStyle: { color: ink.text, fontSize: 12.5, fontWeight: 600 } };
}

/** A line with its own colour and marker; gaps where a value was not measured. */
export function line(name: string, values: readonly Metric[], color: number) {
  return {
    name,
    type: 'line',
    data: values.map((value) => (isMeasured(value) ? value : null)),
    silent: true,
    connectNulls: true,
    symbol: ['circle', 'rect', 'triangle', 'diamond', 'roundRect'][color],
    symbolSize: 9,
    itemStyle: { color: ink.series[color], borderColor: ink.surface, borderWidth: 1.5 },
    lineStyle: { color: ink.series[color], width: 2.25 },
  };
}

/** A histogram as a filled outline of each bin's scaled share of the sample. */
export function outline(counted: Histogram, color: number, scale: (share: number) => number) {
  const heights = shares(counted).map(scale);
  return {
    type: 'line',
    step: 'end',
    data: [...heights, heights.at(-1)!].map((height, index) => [counted.low + index * counted.width, height]),
    silent: true,
    symbol: 'none',
    lineStyle: { color: ink.series[color], width: 1.25 },
    areaStyle: { color: ink.series[color], opacity: 0.35 },
  };
}

/** A histogram as bars. */
export function bars({ low, width, counts }: Histogram, color: number) {
  const plotWidth = CHART_WIDTH - margins.left - margins.right;
  return {
    type: 'bar',
    data: counts.map((count, index) => [low + (index + 0.5) * width, count]),
    silent: true,
    barWidth: Math.round((0.86 * plotWidth) / counts.length),
    itemStyle: { color: ink.series[color], borderRadius: [2, 2, 0, 0] },
  };
}

/** A dashed vertical line through a plot. */
export function verticalLine(position: number, text: string) {
  return {
    silent: true,
    symbol: 'none',
    data: [{ xAxis: position }],
    lineStyle: { color: ink.threshold, width: 1.5, type: 'dashed' },
    label: { show: text !== '', formatter: text, color: ink.threshold, fontSize: 12, fontWeight: 600, distance: 6 },
  };
}

/** @file Draws an ECharts option to an SVG string whose colours follow the page's colour scheme. */
import { BarChart, LineChart } from 'echarts/charts';
import { GridComponent, LegendComponent, MarkLineComponent, TitleComponent } from 'echarts/components';
import { type EChartsCoreOption, init, use } from 'echarts/core';
import { SVGRenderer } from 'echarts/renderers';
import { escapeHtml, html, Markup } from './html.js';

use([BarChart, LineChart, GridComponent, LegendComponent, MarkLineComponent, TitleComponent, SVGRenderer]);

/**
 * Colours as the charts name them. ECharts needs colours that it can parse, and a page in light or dark needs
 * variables: so charts are drawn in these, and each is replaced by its variable afterwards.
 */
export const ink = {
  text: '#010101',
  muted: '#020202',
  line: '#030303',
  surface: '#040404',
  threshold: '#050505',
  series: ['#110101', '#110102', '#110103', '#110104', '#110105'],
} as const;

const variables = new Map<string, string>([
  [ink.text, 'var(--text)'],
  [ink.muted, 'var(--muted)'],
  [ink.line, 'var(--line)'],
  [ink.surface, 'var(--surface)'],
  [ink.threshold, 'var(--fail)'],
  ...ink.series.map((color, index) => [color, `var(--series-${index + 1})`] as const),
]);

/** Unquoted names only: the renderer writes them into a quoted attribute. */
const CHART_FONT = 'system-ui, -apple-system, Roboto, sans-serif';

/** How large a chart is drawn, in CSS pixels; it scales with its place in the page. */
export interface ChartSize {
  readonly width: number;
  readonly height: number;
}

/**
 * An option drawn on the server, as a figure with a title, a caption in words, and a description for screen readers.
 */
export function drawChart(title: string, caption: string, size: ChartSize, option: EChartsCoreOption): Markup {
  const chart = init(null, null, { renderer: 'svg', ssr: true, ...size });
  chart.setOption({ animation: false, textStyle: { fontFamily: CHART_FONT, color: ink.text }, ...option });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return html`<figure class="chart" style="max-width:${size.width + 60}px">
<figcaption><h3>${title}</h3><p>${caption}</p></figcaption>
<div class="drawing">${new Markup(followScheme(svg, size, title))}</div>
</figure>`;
}

function followScheme(svg: string, { width, height }: ChartSize, title: string): string {
  const opening = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" aria-label="${escapeHtml(title)}">`;
  return svg
    .replace(/<svg[^>]*>/, opening)
    .replace(/<style.*?<\/style>/gs, '')
    .replace(/ (?:class|ecmeta_\w+)="[^"]*"/g, '')
    .replace(/#[0-9a-f]{6}/g, (color) => variables.get(color) ?? color);
}

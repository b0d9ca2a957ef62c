/** @file The report and its charts; the library that draws them is loaded with the first one. */
import type { Markup } from './html.js';
import type { ReportData, RoundRow } from './report-data.js';
import type { StudyData } from './study-data.js';

/**
 * The report as one self-contained HTML page: no external requests, charts as inline SVG, light and dark, printable. Its
 * content security policy allows nothing but its own style and its own script.
 */
export async function renderReport(data: ReportData): Promise<string> {
  const { reportPage } = await import('./report-page.js');
  return reportPage(data);
}

/** Quality per round, and retention beside perplexity. */
export async function roundCharts(rounds: readonly RoundRow[]): Promise<readonly Markup[]> {
  const { retentionChart, roundsChart } = await import('./round-charts.js');
  return [roundsChart(rounds), retentionChart(rounds)];
}

/** The report of a study, as one page of the same kind. */
export async function renderStudy(data: StudyData): Promise<string> {
  const { studyPage } = await import('./study-page.js');
  return studyPage(data);
}

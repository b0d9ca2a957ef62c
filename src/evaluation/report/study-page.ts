/** @file The report of a study: the same edits, written in different numbers of rounds. */
import { axis, axisName, legend, line, margins, panelTitle, shareAxisFor } from './chart-parts.js';
import { drawChart, ink } from './draw-chart.js';
import { decimal, isMeasured, percent, ratio, seconds } from './format-number.js';
import { extent } from './histogram.js';
import { html, type Markup } from './html.js';
import { closingSections, createdText, modelFacts, page, pageHeader, section } from './page-frame.js';
import { type StudyCell, type StudyData, splitText, weightText } from './study-data.js';
import { type Column, table } from './tables.js';

/** As `renderStudy` of the face says, which loads this file. */
export function studyPage(data: StudyData): string {
  const { title, model, createdAt, edits, measured, cells } = data;
  const lead = html`<strong>The same ${decimal(edits)} edits</strong> in different numbers of rounds, each way from the base model on; ${measured === edits ? 'all of them' : decimal(measured)} measured after the last round.`;
  const header = pageHeader(title, lead, [...modelFacts(model), ['Created', createdText(createdAt)]]);
  const gates = [...new Set(cells.map(({ gate }) => gate))];
  return page(
    title,
    html`${header}
${gates.map((gate) => gateSection(gate, data))}
${closingSections(data)}`,
  );
}

function gateSection(gate: string, { cells, edits }: StudyData): Markup {
  const own = cells.filter((cell) => cell.gate === gate);
  const forgetting = own.filter(({ history, rounds }) => history === 'forgotten' || rounds === 1);
  const charts = [
    lineChart(
      'Earlier rounds kept',
      'Every solve knows the keys of all rounds before it. A line for each lambda / D.',
      ofHistory(own, 'kept'),
      edits,
    ),
    forgetting.length > 0 &&
      own.some(({ history }) => history === 'forgotten') &&
      lineChart(
        'Earlier rounds forgotten',
        'Every round is solved by itself, as MEMIT and EMMET are. A line for each lambda / D.',
        forgetting,
        edits,
      ),
  ];
  return section(
    gate === 'none' ? 'Without a gate' : `Behind the gate ${gate}`,
    html`${charts}
${cellsTable(own, edits)}`,
  );
}

const ofHistory = (cells: readonly StudyCell[], kind: StudyCell['history']) =>
  cells.filter(({ history }) => history === kind);

function cellsTable(cells: readonly StudyCell[], edits: number): Markup {
  const columns: Column<StudyCell>[] = [
    { head: 'Rounds x edits', cell: ({ rounds }) => splitText(rounds, edits) },
    { head: 'Earlier rounds', cell: ({ rounds, history }) => (rounds === 1 ? '–' : history), isText: true },
    { head: 'lambda / D', cell: ({ momentWeight }) => weightText(momentWeight) },
    { head: 'Reliability', cell: ({ reliability }) => percent(reliability) },
    { head: 'Generality', cell: ({ generality }) => percent(generality) },
    { head: 'Locality', cell: ({ locality }) => percent(locality) },
    { head: 'Same subject', cell: ({ sameSubjectLocality }) => percent(sameSubjectLocality) },
    { head: 'Score', cell: ({ score }) => percent(score) },
    { head: 'Perplexity', cell: ({ perplexityRatio }) => perplexity(perplexityRatio) },
    { head: 'First round', cell: ({ firstRound }) => percent(firstRound.reliability) },
    { head: 'Last round', cell: ({ lastRound }) => percent(lastRound.reliability) },
    { head: '|dW|/|W|', cell: ({ relativeChange }) => percent(relativeChange) },
    { head: 'Written', cell: ({ writtenShare }) => percent(writtenShare) },
    { head: 'Time', cell: (cell) => seconds(cell.seconds) },
  ];
  return table(columns, cells, 'Cells of the study');
}

/** A destroyed model's has too many digits. */
const perplexity = (value: number | null): string => (Number(value) < 1000 ? ratio(value) : `×${decimal(value)}`);

const panels = [
  ['Reliability', 'reliability'],
  ['Generality', 'generality'],
  ['Locality', 'locality'],
  ['Perplexity ratio', 'perplexityRatio'],
] as const;
const size = { width: 760, height: 520 };
const panelWidth = 310;
const panelHeight = 160;
const leftOf = (panel: number) => margins.left + (panel % 2) * (panelWidth + margins.left + margins.right);
const topOf = (panel: number) => 62 + Math.floor(panel / 2) * (panelHeight + 74);

/** Of ratios around 1. Small differences stay small; from a ratio of 5 on the axis is logarithmic. */
function ratioAxis(values: readonly number[]) {
  const [lowest, highest] = extent(values) ?? [1, 1];
  if (highest > 5) return { ...axis, type: 'log' };
  return { ...axis, type: 'value', scale: true, min: Math.min(1, lowest), ...(highest <= 1.02 && { max: 1.02 }) };
}

/** Four panels over the number of rounds, and a line for each weight. */
function lineChart(title: string, caption: string, cells: readonly StudyCell[], edits: number): Markup {
  const splits = [...new Set(cells.map(({ rounds }) => rounds))].sort((one, other) => one - other);
  const weights = [...new Set(cells.map(({ momentWeight }) => momentWeight))];
  const valuesOf = (field: (typeof panels)[number][1], weight: number) =>
    splits.map(
      (split) => cells.find(({ rounds, momentWeight }) => rounds === split && momentWeight === weight)?.[field],
    );
  const x = { ...axis, type: 'category', data: splits.map((split) => splitText(split, edits)) };
  return drawChart(title, caption, size, {
    legend,
    title: panels.map(([name], panel) => ({ ...panelTitle(name, topOf(panel) - 24), left: leftOf(panel) - 40 })),
    grid: panels.map((_, panel) => ({
      left: leftOf(panel),
      top: topOf(panel),
      width: panelWidth,
      height: panelHeight,
    })),
    xAxis: panels.map((_, gridIndex) => ({ ...x, ...axisName('rounds x edits'), gridIndex })),
    yAxis: panels.map(([, field], gridIndex) => {
      const values = weights.flatMap((weight) => valuesOf(field, weight)).filter(isMeasured);
      if (field !== 'perplexityRatio') return { ...shareAxisFor(values, 5), gridIndex };
      return { ...ratioAxis(values), gridIndex };
    }),
    series: panels.flatMap(([, field], panel) =>
      weights.map((weight, w) => ({
        ...line(weightText(weight), valuesOf(field, weight), w % ink.series.length),
        xAxisIndex: panel,
        yAxisIndex: panel,
      })),
    ),
  });
}

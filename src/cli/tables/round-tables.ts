import type { GateRow } from '../../evaluation/index.js';
import type { RoundOutcome } from '../../rounds/index.js';
import type { PublishedRound } from '../../workflow/index.js';
import type { Cell, Terminal } from '../terminal/terminal.js';
import { metricOf, ratioAsText } from './metric.js';

/** The store of the versions, and their model. */
interface Place {
  readonly store: string;
  readonly modelId: string;
}

/** Prints consecutive rounds: a table of them, then the last one's gates, texts before and after, and report. */
export function printRounds(terminal: Terminal, rounds: readonly PublishedRound[], place: Place): void {
  if (rounds.length === 0) return;
  terminal.print();
  printTable(terminal, rounds);
  const last = rounds[rounds.length - 1];
  if (last.gates.length > 0) printGates(terminal, last.gates);
  terminal.print();
  for (const round of rounds) printExamples(terminal, round);
  printReportPlace(terminal, { ...place, version: last.version });
}

/** Prints the location of a version's report. */
export function printReportPlace(terminal: Terminal, at: Place & { readonly version: number }): void {
  const version = String(at.version).padStart(6, '0');
  terminal.print(`report: ${at.store}/models/${at.modelId}/versions/${version}/report.html`);
}

/** Converts the outcome of a round to the form that is printed. */
export function publishedRoundOf({ version, metrics, edits, measures, renamed }: RoundOutcome): PublishedRound {
  const examples = edits.map((edit, e) => ({
    prompt: edit.prompt.replace('{}', () => edit.subject),
    before: measures.before[e].text,
    after: measures.answers[e].text,
  }));
  return {
    version: version!,
    metrics: { ...metrics },
    edits: edits.length,
    examples,
    gates: measures.gates,
    renamed,
    overwrites: [],
    notes: [],
  };
}

/** A model without a chat template has nothing said in chat. */
function printTable(terminal: Terminal, rounds: readonly PublishedRound[]): void {
  const isAsked = rounds.some(({ metrics }) => metricOf(metrics, 'inChat') !== undefined);
  const columns = shareColumns.filter(([name]) => name !== 'inChat' || isAsked);
  terminal.table(
    ['version', 'new', ...columns.map(([, head]) => head), 'perplexity', 'seconds'],
    rounds.map(({ version, edits, metrics }): Cell[] => [
      version,
      edits,
      ...columns.map(([name]) => ratioAsText(metricOf(metrics, name))),
      timesAsText(metricOf(metrics, 'perplexityRatio')),
      ((metricOf(metrics, 'secondsForValues') ?? 0) + (metricOf(metrics, 'secondsForSolve') ?? 0)).toFixed(1),
    ]),
  );
}

const shareColumns = [
  ['reliability', 'reliability'],
  ['generality', 'generality'],
  ['locality', 'locality'],
  ['sameSubjectLocality', 'same subject'],
  ['retention', 'retention'],
  ['said', 'said'],
  ['inChat', 'in chat'],
] as const;

function printGates(terminal: Terminal, gates: readonly GateRow[]): void {
  terminal.print();
  terminal.table(
    ['gate', 'reliability', 'generality', 'locality', 'same subject', 'perplexity'],
    gates.map((row) => [
      row.gate,
      ratioAsText(row.reliability),
      ratioAsText(row.generality),
      ratioAsText(row.locality),
      ratioAsText(row.sameSubjectLocality),
      timesAsText(row.perplexityRatio),
    ]),
  );
}

const timesAsText = (ratio: number | null | undefined): string | undefined =>
  ratio == null ? undefined : `x${ratio.toFixed(3)}`;

/** Prints texts before and after the round, for its first edits. */
function printExamples(terminal: Terminal, { examples }: PublishedRound): void {
  const { bold, dim, green } = terminal.colors;
  for (const { prompt, before, after } of examples.slice(0, 2)) {
    terminal.print(`${bold(prompt)}`);
    terminal.print(`  before ${dim(oneLine(before))}`);
    terminal.print(`  after  ${green(oneLine(after))}`);
  }
  terminal.print();
}

const oneLine = (text: string): string => text.replace(/\s+/g, ' ');

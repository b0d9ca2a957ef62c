import type { Edit, GateKind } from '../../editing/index.js';
import type { MetricRow } from '../../evaluation/index.js';
import type { LayerChange, PromptFirings, VersionEvaluation } from '../../rounds/index.js';
import type { Cell, Terminal } from '../terminal/terminal.js';
import { firedBy } from './fired-by.js';
import { ratioAsText } from './metric.js';

/** The parts of an evaluation that are printed. */
export interface PrintedEvaluation {
  readonly version: number | null;
  readonly gate: GateKind | null;
  readonly edits: readonly Edit[];
  readonly evaluation: VersionEvaluation;
  readonly rows: readonly MetricRow[];
  readonly layers: readonly LayerChange[];
  readonly firings: readonly PromptFirings[];
}

/** The most missed edits that are shown. */
const shownMisses = 10;

/** Prints metrics, layers and missed edits. @param isExplained whether to print the firings too */
export function printEvaluation(terminal: Terminal, printed: PrintedEvaluation, isExplained: boolean): void {
  const { version, gate, edits, rows, layers } = printed;
  const name = version === null ? 'base model' : `version ${version}, ${gate} gate`;
  terminal.print(terminal.colors.bold(`${name}: ${edits.length} edits`));
  terminal.table(
    ['metric', 'value', 'protocol'],
    rows.map(({ metric, value, protocol }) => [metric, ratioAsText(value), protocol]),
  );
  if (layers.length > 0) {
    terminal.print();
    terminal.table(
      ['layer', 'rows', '|dW|/|W|'],
      layers.map((change) => [change.layer, change.edits, ratioAsText(change.relativeChange)]),
    );
  }
  if (version !== null) printMisses(terminal, printed);
  if (isExplained) printFirings(terminal, printed);
}

function printMisses(terminal: Terminal, { edits, evaluation }: PrintedEvaluation): void {
  const missed = edits.map((edit, e) => ({ edit, text: evaluation.answers[e] })).filter(({ text }) => !text.said);
  if (missed.length === 0) return;
  const rows = missed
    .slice(0, shownMisses)
    .map(({ edit, text }) => [
      edit.id,
      edit.prompt.replace('{}', () => edit.subject),
      edit.targetNew,
      text.text.replace(/\s+/g, ' ').trim(),
    ]);
  terminal.print();
  terminal.print(
    `not said: ${missed.length} of ${edits.length}${missed.length > rows.length ? ', the first of them' : ''}`,
  );
  terminal.table(['edit', 'prompt', 'target', 'says'], rows);
}

/** Prints all edit prompts and paraphrases, but only those unrelated prompts on which a gate opened by mistake. */
function printFirings(terminal: Terminal, { gate, firings }: PrintedEvaluation): void {
  terminal.print();
  if (gate === 'none') {
    terminal.print('gates: with --gate none every token is let through, by no subject in particular');
    return;
  }
  const shouldOpen = ({ kind }: PromptFirings) => kind !== 'neighborhood' && kind !== 'same subject';
  const told = firings.filter((prompt) => shouldOpen(prompt) || prompt.firings.length > 0);
  terminal.table(
    ['edit', 'prompt of', 'prompt', 'opened by', 'token', 'position', 'layer', 'strength'],
    told.flatMap(firingRows),
  );
}

function firingRows({ editId, kind, prompt, firings }: PromptFirings): Cell[][] {
  if (firings.length === 0) return [[editId, kind, prompt, undefined, undefined, undefined, undefined, undefined]];
  return firings.map((firing) => [
    editId,
    kind,
    prompt,
    firedBy(firing),
    JSON.stringify(firing.token),
    firing.tokenIndex,
    firing.layer,
    firing.strength?.toFixed(3),
  ]);
}

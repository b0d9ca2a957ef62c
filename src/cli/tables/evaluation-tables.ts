import type { Edit, GateKind } from '../../editing/index.js';
import type { HookMeasures, LayerChange, PromptFirings, VersionEvaluation } from '../../rounds/index.js';
import type { Cell, Terminal } from '../terminal/terminal.js';
import { ratioAsText } from './metric.js';

/** A metric with the protocol that it was measured by. */
interface MetricRow {
  /** As manifests name it. */
  readonly name: string;
  readonly metric: string;
  /** Null where there was nothing to measure it on. */
  readonly value: number | null;
  readonly protocol: string;
}

/** Every metric of an evaluation, in the order of its protocols. */
export function metricRows(
  evaluation: HookMeasures & Partial<Pick<VersionEvaluation, 'baseExactMatch'>>,
  edits: readonly Edit[],
): MetricRow[] {
  const { summary, liveExactMatch, baseExactMatch, drift } = evaluation;
  const row = (name: string, metric: string, value: number | null | undefined, protocol: string): MetricRow => ({
    name,
    metric,
    value: value === undefined || Number.isNaN(value) ? null : value,
    protocol,
  });
  return [
    row(
      'reliability',
      'reliability',
      summary.reliability,
      'token accuracy: target tokens right on the edit prompt, teacher-forced',
    ),
    row('generality', 'generality', summary.generality, 'token accuracy: the same on paraphrases'),
    row(
      'locality',
      'locality',
      summary.locality,
      'token accuracy: agreement with the frozen base model on neighbourhood prompts',
    ),
    row('sameSubjectLocality', 'same-subject locality', summary.sameSubjectLocality, sameSubjectProtocol(edits)),
    row(
      'efficacySuccess',
      'efficacy success',
      summary.efficacySuccess,
      'probabilities: nll(new) < nll(true) on the edit prompt',
    ),
    row('paraphraseSuccess', 'paraphrase success', summary.paraphraseSuccess, 'probabilities: the same on paraphrases'),
    row(
      'neighborhoodSuccess',
      'neighbourhood success',
      summary.neighborhoodSuccess,
      'probabilities: nll(true) < nll(new) on neighbours',
    ),
    row('score', 'score S', summary.score, 'probabilities: harmonic mean of the three successes'),
    row('liveExactMatch', 'live exact match', liveExactMatch, 'live decoding: greedy text begins with the target'),
    row('baseExactMatch', 'live exact match, base', baseExactMatch, 'live decoding: the same of the base model'),
    row('perplexityRatio', 'perplexity ratio', drift?.perplexityRatio, 'drift: edited over base on held-out text'),
    row('basePerplexity', 'perplexity, base', drift?.basePerplexity, 'drift: of the base model on held-out text'),
    row('klToBase', 'KL to base', drift?.klToBase, 'drift: nats per token of held-out text'),
    row('swapRate', 'swap rate', drift?.swapRate, 'drift: share of tokens that the gate lets through'),
  ];
}

function sameSubjectProtocol(edits: readonly Edit[]): string {
  const own = edits.filter((edit) => edit.keep.length > 0).length;
  const prompts =
    own === edits.length
      ? 'keep prompts'
      : own === 0
        ? 'generic prompts'
        : `keep prompts (${own} edits) or generic ones`;
  return `token accuracy: agreement with the base model on ${prompts} about the edited subject`;
}

/** What is printed of an evaluation. */
export interface PrintedEvaluation {
  readonly version: number | null;
  readonly gate: GateKind | null;
  readonly edits: readonly Edit[];
  readonly evaluation: VersionEvaluation;
  readonly layers: readonly LayerChange[];
  readonly firings: readonly PromptFirings[];
}

/** Missed edits that are shown. */
const shownMisses = 10;

/** Prints metrics, layers, the edits that are not said, and, if asked for, what opened gates. */
export function printEvaluation(terminal: Terminal, printed: PrintedEvaluation, isExplained: boolean): void {
  const { version, gate, edits, evaluation, layers } = printed;
  const name = version === null ? 'base model' : `version ${version}, ${gate} gate`;
  terminal.print(terminal.colors.bold(`${name}: ${edits.length} edits`));
  terminal.table(
    ['metric', 'value', 'protocol'],
    metricRows(evaluation, edits).map(({ metric, value, protocol }) => [metric, ratioAsText(value), protocol]),
  );
  if (layers.length > 0) {
    terminal.print();
    terminal.table(
      ['layer', 'edits', '|dW|/|W|'],
      layers.map((change) => [change.layer, change.edits, ratioAsText(change.relativeChange)]),
    );
  }
  if (version !== null) printMisses(terminal, printed);
  if (isExplained) printFirings(terminal, printed);
}

function printMisses(terminal: Terminal, { edits, evaluation }: PrintedEvaluation): void {
  const missed = edits.map((edit, e) => ({ edit, text: evaluation.answers[e] })).filter(({ text }) => !text.exactMatch);
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
    `not said live: ${missed.length} of ${edits.length}${missed.length > rows.length ? ', the first of them' : ''}`,
  );
  terminal.table(['edit', 'prompt', 'target', 'says'], rows);
}

/** Every edit prompt and paraphrase, and of the prompts that should stay those on which a gate opened. */
function printFirings(terminal: Terminal, { gate, firings }: PrintedEvaluation): void {
  terminal.print();
  if (gate === 'none') {
    terminal.print('gates: with --gate none every token is let through, by no edit in particular');
    return;
  }
  const shouldOpen = ({ kind }: PromptFirings) => kind === 'edit' || kind === 'paraphrase';
  const told = firings.filter((prompt) => shouldOpen(prompt) || prompt.firings.length > 0);
  terminal.table(
    ['edit', 'prompt of', 'prompt', 'opened by', 'token', 'position', 'layer', 'strength'],
    told.flatMap(firingRows),
  );
}

function firingRows({ editId, kind, prompt, firings }: PromptFirings): Cell[][] {
  if (firings.length === 0) return [[editId, kind, prompt, undefined, undefined, undefined, undefined, undefined]];
  return firings.map((opening) => [
    editId,
    kind,
    prompt,
    opening.editId,
    JSON.stringify(opening.token),
    opening.tokenIndex,
    opening.layer,
    opening.strength?.toFixed(3),
  ]);
}

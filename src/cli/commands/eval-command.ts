import { Command, Option } from 'commander';
import type { Edit, GateKind } from '../../editing/index.js';
import type { Listener } from '../../progress.js';
import type { VersionEvaluation } from '../../rounds/index.js';
import type { RowEdits } from '../../serving/index.js';
import { type BatchOptions, batchOptions, readEditFiles } from '../options/batch-options.js';
import { heldOutOption } from '../options/held-out.js';
import { type ModelOptions, modelOptions, parseVersion } from '../options/model-options.js';
import { type PrintedEvaluation, printEvaluation } from '../tables/evaluation-tables.js';
import { addExamples, addOptions } from '../terminal/frame-command.js';
import { createTerminal } from '../terminal/terminal.js';
import type { OpenEditedVersion } from './open-edited-version.js';

interface EvalOptions extends ModelOptions, BatchOptions {
  readonly version?: number;
  readonly base?: boolean;
  readonly gate?: GateKind;
  readonly heldOut?: string;
  readonly explain?: boolean;
}

const gates: readonly GateKind[] = ['key', 'nearest', 'sequence', 'none'];

/** `hookline eval`: any version, or the base model, on any edits. */
export function evalCommand(): Command {
  const command = new Command('eval')
    .description('Measure a version, or the base model, on any edits with every protocol; nothing is written')
    .argument('<files...>', 'edits: our JSONL, CounterFact or zsRE')
    .action(evaluate);
  addOptions(command, [
    ...modelOptions(),
    new Option('--version <n>', 'the version to measure (default: the latest)').argParser(parseVersion),
    new Option('--base', 'measure the base model, for comparison').conflicts(['version', 'gate', 'explain']),
    new Option('--gate <kind>', "another gate than the version's own").choices(gates),
    ...batchOptions(),
    heldOutOption(),
    new Option('--explain', 'list whose edit opened a gate on which prompt, at which token, how strongly'),
  ]);
  return addExamples(command, [
    'hookline eval edits.jsonl --model ./SmolLM2-135M-Instruct --held-out news.txt',
    'hookline eval counterfact.json --limit 100 --model ./SmolLM2-135M-Instruct --version 2 --json > version-2.json',
    'hookline eval edits.jsonl --model ./my-model --base',
    'hookline eval edits.jsonl --model ./my-model --gate none',
    'hookline eval edits.jsonl --model ./my-model --explain',
  ]);
}

/** The result of an evaluation. The version is null for the base model. */
interface Outcome extends Omit<PrintedEvaluation, 'rows'> {
  readonly modelId: string | null;
  readonly rowEdits: readonly RowEdits[];
}

async function evaluate(paths: readonly string[], options: EvalOptions): Promise<void> {
  const terminal = createTerminal(options);
  const { metricRows } = await import('../../evaluation/index.js');
  const { stageProgress } = await import('../terminal/stage-progress.js');
  const { openEditedVersion } = await import('./open-edited-version.js');
  const { files, rejected } = await readEditFiles(paths, options, terminal);
  const edits = files.flat();
  const progress = stageProgress(terminal);
  const outcome = options.base
    ? await measureBase(edits, options, progress)
    : await measureVersion(await openEditedVersion(options, options.version, terminal), edits, options, progress);
  progress.finish();
  const { roundNotes } = await import('../../rounds/index.js');
  for (const note of roundNotes(outcome.evaluation)) terminal.warn(note);
  const printed = { ...outcome, rows: metricRows(outcome.evaluation, edits) };
  terminal.json(await asJson(printed, rejected));
  printEvaluation(terminal, printed, options.explain ?? false);
}

async function measureBase(edits: readonly Edit[], options: EvalOptions, listener: Listener): Promise<Outcome> {
  const { modelDigest, openModel } = await import('../../model/index.js');
  const { evaluateVersion, heldOutSequences, heldOutTokens } = await import('../../rounds/index.js');
  const { resolveDevice } = await import('../../runtime/index.js');
  const { HookableModel } = await import('../../serving/index.js');
  const { model, tokenizer } = await openModel(options.model);
  // Whatever is measured, its weights are looked through first.
  await modelDigest(model);
  const device = await resolveDevice(options.device, listener);
  const edited = await HookableModel.compile(model, { layers: [], gate: 'none', device });
  try {
    const heldOut = await heldOutSequences(options.heldOut, { model, tokenizer }, heldOutTokens.evaluation);
    const evaluation = await evaluateVersion({ edited, tokenizer, hooks: [] }, edits, heldOut, listener);
    const nothing = { layers: [], rowEdits: [], firings: [] };
    return { modelId: null, version: null, gate: null, edits, evaluation, ...nothing };
  } finally {
    await edited.dispose();
  }
}

async function measureVersion(
  opened: OpenEditedVersion,
  edits: readonly Edit[],
  options: EvalOptions,
  listener: Listener,
): Promise<Outcome> {
  const { evaluateVersion, explainGates, heldOutSequences, heldOutTokens, layerChanges } = await import(
    '../../rounds/index.js'
  );
  const { withGemmEngine } = await import('../../runtime/index.js');
  const { state, rowEdits, tokenizer, manifest } = opened;
  const { modelId, version } = manifest;
  const gate = options.gate ?? manifest.gate.kind;
  const subject = await behindGate(opened, gate, options);
  try {
    const heldOut = await heldOutSequences(
      options.heldOut,
      { model: subject.edited.model, tokenizer },
      heldOutTokens.evaluation,
    );
    const evaluation = await evaluateVersion(subject, edits, heldOut, listener);
    const layers = await withGemmEngine((engine) => layerChanges(subject.edited.model, state, engine));
    const firings = options.explain && gate !== 'none' ? await explainGates(subject, edits, rowEdits) : [];
    return { modelId, version, gate, edits, evaluation, layers, rowEdits, firings };
  } finally {
    await subject.edited.dispose();
  }
}

/** The version's model with its gate replaced by another kind. */
async function behindGate(opened: OpenEditedVersion, gate: GateKind, options: EvalOptions) {
  const { edited, tokenizer, hooks, manifest } = opened;
  if (gate === manifest.gate.kind) return { edited, tokenizer, hooks };
  const { storedHyperparametersSchema } = await import('../../editing/index.js');
  const { withSequenceThresholds } = await import('../../rounds/index.js');
  const { resolveDevice } = await import('../../runtime/index.js');
  const { activeEditsOf, HookableModel } = await import('../../serving/index.js');
  const { model } = edited;
  await edited.dispose();
  const device = await resolveDevice(options.device);
  const active = activeEditsOf(manifest);
  const settings = storedHyperparametersSchema.parse(manifest.hyperparameters);
  const gated =
    gate === 'sequence'
      ? await withSequenceThresholds({ model, tokenizer, hooks, settings, edits: active, device })
      : hooks;
  return {
    edited: await HookableModel.compile(model, { layers: manifest.layers, gate, device }),
    tokenizer,
    hooks: gated,
  };
}

async function asJson(outcome: Outcome & PrintedEvaluation, rejected: readonly unknown[]) {
  const { firedEdits } = await import('../../serving/index.js');
  const { modelId, version, gate, edits, evaluation, rows, layers, rowEdits, firings } = outcome;
  const { measurements, answers, baseAnswers } = evaluation;
  const measuredOf = ({ signals: _, ...measured }: VersionEvaluation['measurements'][number]) => measured;
  const firingOf = ({ firing }: VersionEvaluation['measurements'][number]) =>
    firing ? { ...firing, ...firedEdits(firing, rowEdits) } : null;
  return {
    modelId,
    version,
    gate,
    metrics: Object.fromEntries(rows.map(({ name, value }) => [name, value])),
    protocols: Object.fromEntries(rows.map(({ name, protocol }) => [name, protocol])),
    layers: layers.map(({ edits: hookRows, ...layer }) => ({ ...layer, rows: hookRows })),
    edits: edits.map(({ id, subject, prompt, targetNew, targetTrue }, e) => ({
      ...measuredOf(measurements[e]),
      id,
      subject,
      prompt,
      targetNew,
      targetTrue: targetTrue ?? null,
      firing: firingOf(measurements[e]),
      text: answers[e].text,
      said: answers[e].said,
      chat: answers[e].chat ?? null,
      baseText: baseAnswers[e].text,
    })),
    ...(firings.length > 0 && { firings }),
    rejected,
  };
}

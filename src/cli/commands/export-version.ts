/** @file The steps that all export commands share: open a version, write it, measure the result and report it. */
import { Option } from 'commander';
import type { HookLayer } from '../../editing/index.js';
import type { MetricRow } from '../../evaluation/index.js';
import type { MeasuredModel } from '../../serving/index.js';
import { heldOutOption } from '../options/held-out.js';
import { type ModelOptions, modelOptions, parseVersion } from '../options/model-options.js';
import { ratioAsText } from '../tables/metric.js';
import { createTerminal, type Terminal } from '../terminal/terminal.js';
import type { OpenEditedVersion } from './open-edited-version.js';

/** The options that all exports share. */
export interface ExportOptions extends ModelOptions {
  readonly version?: number;
  readonly heldOut?: string;
  readonly validate: boolean;
}

/** The options that all exports share, in the order of the help. */
export const exportOptions = (): Option[] => [
  ...modelOptions().filter((option) => option.long !== '--seed' && option.long !== '--memory-budget'),
  new Option('--version <n>', 'the version to export (default: the latest)').argParser(parseVersion),
  heldOutOption(),
  new Option('--no-validate', 'do not measure what was written'),
];

/** An export that was read back in order to measure it. */
interface ReadBack {
  readonly edited: MeasuredModel;
  readonly hooks: readonly HookLayer[];
  dispose(): Promise<void>;
}

/** The steps in which one kind of export differs from the others. */
interface ExportSteps<Written> {
  readonly kind: string;
  /** Whether the export contains the gates. */
  readonly isGated: boolean;
  write(opened: OpenEditedVersion): Promise<Written>;
  /** Where the record of the export is kept. */
  recordPath(written: Written): string;
  open(opened: OpenEditedVersion, written: Written): Promise<ReadBack>;
  print(terminal: Terminal, written: Written): void;
}

/** Writes an export, measures it and the version, and stores both results in a record next to the export. */
export async function runExport<Written extends object>(
  options: ExportOptions,
  steps: ExportSteps<Written>,
): Promise<void> {
  const { openEditedVersion } = await import('./open-edited-version.js');
  const terminal = createTerminal(options);
  const opened = await openEditedVersion(options, options.version, terminal);
  try {
    const written = await steps.write(opened);
    steps.print(terminal, written);
    const validation = options.validate ? await validate(options, opened, written, steps, terminal) : null;
    const { modelId, version, modelDigest } = opened.manifest;
    const about = { kind: steps.kind, gated: steps.isGated, modelId, version, modelDigest };
    const record = {
      ...about,
      written,
      metrics: validation && { served: byName(validation.served), exported: byName(validation.exported) },
    };
    await writeRecord(steps.recordPath(written), record);
    terminal.json(record);
    if (validation) printValidation(terminal, validation);
    if (!steps.isGated) terminal.note('ungated: it changes every token a little, as the metrics show');
  } finally {
    await opened.edited.dispose();
  }
}

/** The metrics of the version beside those of its export. */
interface Validation {
  readonly edits: number;
  readonly served: readonly MetricRow[];
  readonly exported: readonly MetricRow[];
}

async function validate<Written>(
  options: ExportOptions,
  opened: OpenEditedVersion,
  written: Written,
  steps: ExportSteps<Written>,
  terminal: Terminal,
): Promise<Validation> {
  const { metricRows } = await import('../../evaluation/index.js');
  const { activeEdits, heldOutSequences, validateExport } = await import('../../rounds/index.js');
  const { openVersions } = await import('../options/open-versions.js');
  const { stageProgress } = await import('../terminal/stage-progress.js');
  const { edited, tokenizer, hooks, manifest } = opened;
  const { store } = await openVersions(options);
  const progress = stageProgress(terminal);
  const readBack = await steps.open(opened, written);
  try {
    const edits = await activeEdits(store, manifest);
    const heldOut = await heldOutSequences(options.heldOut, { model: edited.model, tokenizer });
    const subjects = { served: { edited, tokenizer, hooks }, exported: { ...readBack, tokenizer } };
    const { served, exported } = await validateExport(subjects, edits, heldOut, progress);
    return { edits: edits.length, served: metricRows(served, []), exported: metricRows(exported, []) };
  } finally {
    progress.finish();
    await readBack.dispose();
  }
}

async function writeRecord(path: string, record: object): Promise<void> {
  const { writeFileAtomically } = await import('../../tensor/index.js');
  await writeFileAtomically(path, (file) => file.writeFile(`${JSON.stringify(record, null, 2)}\n`));
}

const byName = (rows: readonly MetricRow[]) => Object.fromEntries(rows.map(({ name, value }) => [name, value]));

function printValidation(terminal: Terminal, { edits, served, exported }: Validation): void {
  terminal.print();
  terminal.print(`${edits} edits, measured on what was written`);
  terminal.table(
    ['metric', 'served', 'export'],
    served.flatMap(({ metric, value }, i) =>
      value === null && exported[i].value === null
        ? []
        : [[metric, ratioAsText(value), ratioAsText(exported[i].value)]],
    ),
  );
}

import { Command } from 'commander';
import type { Change, JsonValue, ManifestEdit, VersionDiff } from '../../registry/index.js';
import { parseVersion, type StoreOptions, storeOptions } from '../options/model-options.js';
import { yesOrNo } from '../tables/metric.js';
import { addExamples, addOptions } from '../terminal/frame-command.js';
import { createTerminal, type Terminal } from '../terminal/terminal.js';

/** `hookline diff`: what changed between two versions. */
export function diffCommand(): Command {
  const command = new Command('diff')
    .description('Compare two versions: edits, settings and measurements')
    .argument('<before>', 'a version', parseVersion)
    .argument('<after>', 'another version', parseVersion)
    .action(compare);
  addOptions(command, storeOptions());
  return addExamples(command, ['hookline diff 1 3', 'hookline diff 1 3 --json']);
}

async function compare(before: number, after: number, options: StoreOptions): Promise<void> {
  const { diffVersions, publishedManifest } = await import('../../registry/index.js');
  const { openVersions } = await import('../options/open-versions.js');
  const terminal = createTerminal(options);
  const { store, modelId } = await openVersions(options);
  const first = await publishedManifest(store, modelId, before);
  const difference = diffVersions(first, await publishedManifest(store, modelId, after));
  terminal.json(difference);
  terminal.print(terminal.colors.bold(`${modelId}: version ${before} -> version ${after}`));
  printEdits(terminal, difference.edits);
  printChanges(terminal, 'setting', difference.hyperparameters);
  printMetrics(terminal, difference.metrics);
}

function printEdits(terminal: Terminal, { added, removed, overwritten, changed }: VersionDiff['edits']): void {
  const row = (change: string) => (edit: ManifestEdit) => [
    change,
    edit.id,
    yesOrNo(edit.said),
    yesOrNo(edit.inChat),
    `${edit.prompt.replace('{}', () => edit.subject)} -> ${edit.targetNew.trim()}`,
  ];
  const rows = [
    ...added.map(row('added')),
    ...removed.map(row('removed')),
    ...overwritten.map(row('overwritten')),
    ...changed.map((pair) => row(pair.after.status)(pair.after)),
  ];
  if (rows.length === 0) terminal.print('the same edits');
  else terminal.table(['change', 'edit', 'said', 'in chat', 'fact'], rows);
}

function printChanges(terminal: Terminal, title: string, changes: readonly Change<JsonValue>[]): void {
  if (changes.length === 0) return;
  const text = (value: JsonValue | undefined) => (value === undefined ? undefined : JSON.stringify(value));
  terminal.print();
  terminal.table(
    [title, 'before', 'after'],
    changes.map(({ name, before, after }) => [name, text(before), text(after)]),
  );
}

function printMetrics(terminal: Terminal, metrics: VersionDiff['metrics']): void {
  if (metrics.length === 0) return;
  const text = (value: number | undefined) => (value === undefined ? undefined : String(Number(value.toPrecision(5))));
  const signed = (value: number | undefined) => (value === undefined || value < 0 ? text(value) : `+${text(value)}`);
  terminal.print();
  terminal.table(
    ['measurement', 'before', 'after', 'difference'],
    metrics.map(({ name, before, after, delta }) => [name, text(before), text(after), signed(delta)]),
  );
}

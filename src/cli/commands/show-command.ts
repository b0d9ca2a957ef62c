import { Command } from 'commander';
import type { Manifest } from '../../registry/index.js';
import { parseVersion, type StoreOptions, storeOptions } from '../options/model-options.js';
import { newEdits, yesOrNo } from '../tables/metric.js';
import { addExamples, addOptions } from '../terminal/frame-command.js';
import { bytesAsText } from '../terminal/progress.js';
import { createTerminal, type Terminal } from '../terminal/terminal.js';

/** `hookline show`: describes one version. */
export function showCommand(): Command {
  const command = new Command('show')
    .description('Show a version: where it comes from, its settings, measurements, edits and files')
    .argument('<version>', 'the version to show', parseVersion)
    .action(show);
  addOptions(command, storeOptions());
  return addExamples(command, ['hookline show 3', 'hookline show 3 --json > manifest.json']);
}

async function show(version: number, options: StoreOptions): Promise<void> {
  const { publishedManifest } = await import('../../registry/index.js');
  const { openVersions } = await import('../options/open-versions.js');
  const terminal = createTerminal(options);
  const { store, modelId } = await openVersions(options);
  const manifest = await publishedManifest(store, modelId, version);
  terminal.json(manifest);
  printOrigin(terminal, manifest);
  printValues(terminal, 'setting', manifest.hyperparameters);
  printValues(terminal, 'measurement', manifest.metrics);
  printEdits(terminal, manifest);
  printFiles(terminal, manifest);
}

function printOrigin(terminal: Terminal, manifest: Manifest): void {
  const { colors } = terminal;
  const { edits, version } = manifest;
  const own = edits.filter((edit) => edit.version === version).length;
  terminal.print(colors.bold(`${manifest.modelId} version ${manifest.version}`));
  terminal.table(
    ['', ''],
    [
      ['parent', manifest.parent === null ? 'the base model' : `version ${manifest.parent}`],
      ['published', `${manifest.createdAt} by ${manifest.publishedBy}`],
      ['edits', edits.filter(({ status }) => status === 'active').length],
      ['new', newEdits(own, manifest.metrics)],
      ['model digest', manifest.modelDigest],
      ['hooked layers', manifest.layers.join(', ')],
      ['gate', `${manifest.gate.kind}, thresholds ${JSON.stringify(manifest.gate.thresholds)}`],
    ],
  );
}

function printValues(terminal: Terminal, title: string, values: Manifest['metrics']): void {
  if (typeof values !== 'object' || values === null) return;
  const rows = Object.entries(values).map(([name, value]) => [name, JSON.stringify(value)]);
  if (rows.length === 0) return;
  terminal.print();
  terminal.table([title, 'value'], rows);
}

function printEdits(terminal: Terminal, { edits }: Manifest): void {
  if (edits.length === 0) return;
  const rows = edits.map(({ id, version, status, said, inChat, prompt, subject, targetNew }) => [
    id,
    version,
    status,
    yesOrNo(said),
    yesOrNo(inChat),
    `${prompt.replace('{}', () => subject)} -> ${targetNew.trim()}`,
  ]);
  terminal.print();
  terminal.table(['edit', 'version', 'status', 'said', 'in chat', 'fact'], rows);
}

function printFiles(terminal: Terminal, { files, segments }: Manifest): void {
  const named = new Map([...segments, ...files].map((file) => [file.key, file]));
  terminal.print();
  terminal.table(
    ['file', 'size', 'SHA-256'],
    [...named.values()].map(({ key, sizeBytes, sha256 }) => [key, bytesAsText(sizeBytes), sha256]),
  );
}

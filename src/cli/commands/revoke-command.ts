import { randomUUID } from 'node:crypto';
import { Command, Option } from 'commander';
import { InvalidInputError } from '../../errors.js';
import type { ManifestEdit } from '../../registry/index.js';
import type { Revocation, RevokeSelection } from '../../rounds/index.js';
import { heldOutOption } from '../options/held-out.js';
import {
  computeOptions,
  finiteNumber,
  type ModelOptions,
  modelIdOption,
  modelOption,
  parseVersion,
  storeOption,
} from '../options/model-options.js';
import { printNotRestored, printRevocation, revocationAsJson } from '../tables/revocation-tables.js';
import { addExamples, addOptions } from '../terminal/frame-command.js';
import { createTerminal, type Terminal } from '../terminal/terminal.js';
import { userName } from '../terminal/user-name.js';

interface RevokeOptions extends Omit<ModelOptions, 'model'> {
  readonly model?: string;
  readonly allOf?: number;
  readonly subject?: string;
  readonly heldOut?: string;
  readonly tolerance: number;
  readonly force?: boolean;
  readonly dryRun?: boolean;
}

/** `hookline revoke`: a new version without some edits. */
export function revokeCommand(): Command {
  const command = new Command('revoke')
    .description(
      'Publish the latest version without some of its edits: solved again from kept values, measured before and after',
    )
    .argument('[ids...]', 'ids of active edits')
    .action(revoke);
  addOptions(command, [
    storeOption(),
    modelOption(false),
    modelIdOption(),
    ...computeOptions().filter((option) => option.long === '--device'),
    new Option('--all-of <version>', 'all active edits that this version wrote').argParser(parseVersion),
    new Option('--subject <text>', 'all active edits of exactly this subject'),
    heldOutOption(),
    new Option('--tolerance <share>', 'how much reliability any other edit may lose')
      .default(0)
      .argParser(finiteNumber('--tolerance', { min: 0, max: 1 })),
    new Option('--force', 'publish although another edit loses more than that'),
    new Option('--dry-run', 'print what would go, and publish nothing; needs no --model'),
  ]);
  return addExamples(command, [
    'hookline revoke r1-04 r2-17 --model ./SmolLM2-135M-Instruct',
    'hookline revoke --all-of 3 --model ./SmolLM2-135M-Instruct --held-out news.txt',
    'hookline revoke --subject "Ada Lovelace" --dry-run',
  ]);
}

async function revoke(ids: readonly string[], options: RevokeOptions): Promise<void> {
  const { allOf, subject, model } = options;
  const selection = { ids, ...(allOf !== undefined && { allOf }), ...(subject !== undefined && { subject }) };
  const terminal = createTerminal(options);
  if (options.dryRun) return preview(selection, options, terminal);
  if (model === undefined) throw new InvalidInputError('--model', 'the directory of the model, or --dry-run', 'none');
  await publishWithout(selection, { ...options, model }, terminal);
}

async function preview(selection: RevokeSelection, options: RevokeOptions, terminal: Terminal): Promise<void> {
  const { notRestored, revokeSelection } = await import('../../rounds/index.js');
  const { latest } = await import('../../registry/index.js');
  const { openVersions } = await import('../options/open-versions.js');
  const { store, modelId } = await openVersions(options);
  const found = await latest(store, modelId);
  if (found === undefined) throw new InvalidInputError(`model ${modelId}`, 'a published version', 'none in this store');
  const { edits } = found.manifest;
  const revoked = revokeSelection(found.manifest, selection);
  const lost = notRestored(edits, revoked);
  const active = edits.filter(({ status }) => status === 'active').length;
  const kept = active - revoked.length;
  terminal.json({ modelId, base: found.version, dryRun: true, revoked, kept, notRestored: lost });
  terminal.print(`would go from version ${found.version} of ${modelId}: ${revoked.length} of ${active} active edits`);
  terminal.table(
    ['edit', 'version', 'fact'],
    revoked.map((edit) => [edit.id, edit.version, factOf(edit)]),
  );
  printNotRestored(terminal, lost, { ...options, modelId });
  terminal.note('nothing was published');
}

const factOf = ({ prompt, subject, targetNew }: ManifestEdit): string =>
  `${prompt.replace('{}', () => subject)} -> ${targetNew}`;

async function publishWithout(
  selection: RevokeSelection,
  options: RevokeOptions & ModelOptions,
  terminal: Terminal,
): Promise<void> {
  const { heldOutSequences, revokeEdits } = await import('../../rounds/index.js');
  const { openEditedVersion } = await import('./open-edited-version.js');
  const { openVersions } = await import('../options/open-versions.js');
  const { stageProgress } = await import('../terminal/stage-progress.js');
  const { store, modelId } = await openVersions(options);
  const { edited, tokenizer } = await openEditedVersion({ ...options, modelId }, undefined, terminal);
  const progress = stageProgress(terminal);
  let done: Revocation;
  try {
    const request = {
      store,
      modelId,
      selection,
      subject: { edited, tokenizer },
      heldOut: await heldOutSequences(options.heldOut, { model: edited.model, tokenizer }),
      tolerance: options.tolerance,
      force: options.force ?? false,
      publishedBy: `revoke by ${userName()} (${randomUUID()})`,
    };
    done = await revokeEdits(request, progress);
  } finally {
    progress.finish();
    await edited.dispose();
  }
  terminal.json(revocationAsJson(done, modelId));
  printRevocation(terminal, done, { ...options, modelId });
}

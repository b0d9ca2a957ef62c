import { Command } from 'commander';
import { parseVersion, type StoreOptions, storeOptions } from '../options/model-options.js';
import { addExamples, addOptions } from '../terminal/frame-command.js';
import { bytesAsText } from '../terminal/progress.js';
import { createTerminal } from '../terminal/terminal.js';

/** `hookline verify`: reads everything a version consists of and checks its digests. */
export function verifyCommand(): Command {
  const command = new Command('verify')
    .description('Check every file of a version (default: the latest) against its SHA-256')
    .argument('[version]', 'the version to check', parseVersion)
    .action(verify);
  addOptions(command, storeOptions());
  return addExamples(command, ['hookline verify', 'hookline verify 3 --json']);
}

async function verify(version: number | undefined, options: StoreOptions): Promise<void> {
  const { pull } = await import('../../registry/index.js');
  const { openVersions } = await import('../options/open-versions.js');
  const terminal = createTerminal(options);
  const { store, modelId } = await openVersions(options);
  const { manifest, files } = await pull(store, modelId, version);
  const sizes = [...files].map(([key, bytes]) => ({ key, sizeBytes: bytes.length }));
  terminal.json({ modelId, version: manifest.version, verified: true, files: sizes });
  terminal.table(
    ['file', 'size', 'SHA-256'],
    sizes.map(({ key, sizeBytes }) => [key, bytesAsText(sizeBytes), 'as published']),
  );
  terminal.print(`version ${manifest.version} of ${modelId} is complete: ${sizes.length} files and its manifest`);
}

import { Command, Option } from 'commander';
import { parseVersion, type StoreOptions, storeOptions } from '../options/model-options.js';
import { addExamples, addOptions } from '../terminal/frame-command.js';
import { createTerminal } from '../terminal/terminal.js';
import { userName } from '../terminal/user-name.js';

/** `hookline rollback`: another published version becomes the latest. */
export function rollbackCommand(): Command {
  const command = new Command('rollback')
    .description('Make another published version the latest, once it is verified; nothing is deleted')
    .argument('<version>', 'the version to go to', parseVersion)
    .action(goTo);
  addOptions(command, [
    ...storeOptions(),
    new Option('--force', 'also if something of the version is missing or damaged'),
  ]);
  return addExamples(command, ['hookline rollback 2', 'hookline rollback 2 --model-id smollm2-135m-instruct --json']);
}

async function goTo(version: number, options: StoreOptions & { readonly force?: boolean }): Promise<void> {
  const { pointerHistory, rollback } = await import('../../registry/index.js');
  const { openVersions } = await import('../options/open-versions.js');
  const terminal = createTerminal(options);
  const { store, modelId } = await openVersions(options);
  const previous = (await pointerHistory(store, modelId).next()).value?.pointer.version;
  const { damage } = await rollback(store, modelId, version, `rollback by ${userName()}`, {
    force: options.force ?? false,
  });
  const moved = previous !== version;
  terminal.json({ modelId, previous, latest: version, moved, damage });
  for (const problem of damage) terminal.warn(problem);
  if (!moved) {
    terminal.print(`version ${version} of ${modelId} is the latest already: nothing changed`);
    return;
  }
  terminal.print(`latest of ${modelId}: version ${previous} -> version ${version}`);
  terminal.note(
    `nothing was deleted; to undo: hookline rollback ${previous} --store ${options.store} --model-id ${modelId}`,
  );
}

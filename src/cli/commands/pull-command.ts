import { Command, Option } from 'commander';
import { parseVersion } from '../options/model-options.js';
import { type FolderOptions, folderOptions, openVersionFolder } from '../options/version-folder-options.js';
import { addExamples, addOptions } from '../terminal/frame-command.js';
import { bytesAsText, type ProgressBar } from '../terminal/progress.js';
import { createTerminal } from '../terminal/terminal.js';

interface PullOptions extends FolderOptions {
  readonly version?: number;
}

/** `hookline pull`: downloads a published version to a folder and makes it the folder's current one. */
export function pullCommand(): Command {
  const command = new Command('pull')
    .description('Pull a published version (default: the latest) into a folder, every file verified by its SHA-256')
    .action(pullVersion);
  addOptions(command, [
    ...folderOptions(),
    new Option('--version <n>', 'the version to pull (default: the latest)').argParser(parseVersion),
  ]);
  addExamples(command, [
    'hookline pull',
    'hookline pull --store s3://my-bucket --model-id aldermark --out ./version --model ./aldermark',
    'hookline pull --version 2 --json',
  ]);
  return command.addHelpText(
    'after',
    '\n<out>/current is a link that leads to manifest.json and the files at the keys it names. It is replaced in one step,' +
      '\nwhen the whole version is there: resolve it once and read below what it led to.',
  );
}

async function pullVersion(options: PullOptions): Promise<void> {
  const terminal = createTerminal(options);
  let bar: ProgressBar | undefined;
  const { folder, modelId } = await openVersionFolder(options, terminal, (doneBytes, totalBytes, key) => {
    bar ??= terminal.progress('pulling', totalBytes, 'bytes');
    bar.update(doneBytes, key);
  });
  const { manifest, ...pulled } = await folder.pull(options.version);
  bar?.finish();
  const { version, isNew, path, previous, fetchedBytes, reusedBytes } = pulled;
  const edits = manifest.edits.filter(({ status }) => status === 'active').length;
  terminal.json({ modelId, version, previous: previous ?? null, isNew, edits, fetchedBytes, reusedBytes, path });
  const bytes = `${bytesAsText(fetchedBytes)} fetched, ${bytesAsText(reusedBytes)} here before`;
  if (isNew) terminal.print(`version ${version} of ${modelId} is current: ${edits} edits, ${bytes}`);
  else terminal.print(`nothing new: version ${version} of ${modelId} stays current (${bytes})`);
  terminal.note(`in ${options.out}/current, which leads to ${path}`);
}

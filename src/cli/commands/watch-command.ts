import { Command, Option } from 'commander';
import type { FolderVersion } from '../../registry/index.js';
import { finiteNumber } from '../options/model-options.js';
import { type FolderOptions, folderOptions, openVersionFolder } from '../options/version-folder-options.js';
import { failureOf } from '../terminal/exit-code.js';
import { addExamples, addOptions } from '../terminal/frame-command.js';
import { secondsAsText } from '../terminal/progress.js';
import { createTerminal, type Terminal } from '../terminal/terminal.js';

interface WatchCommandOptions extends FolderOptions {
  readonly exec?: string;
  /** Seconds. */
  readonly execTimeout?: number;
  /** Seconds. */
  readonly interval: number;
  readonly once?: boolean;
}

/** `hookline watch`: keeps a folder at the latest version until it is stopped. */
export function watchCommand(): Command {
  const command = new Command('watch')
    .description('Pull every version that becomes the latest into a folder, and run a command for it')
    .action(watch);
  addOptions(command, [
    ...folderOptions(),
    new Option('--exec <command>', 'what the shell runs for each version'),
    new Option(
      '--exec-timeout <seconds>',
      'what the command may take; then it is ended and counts as failed',
    ).argParser(finiteNumber('--exec-timeout', { min: 0.1, max: 86_400 })),
    new Option('--interval <seconds>', 'mean time between two looks')
      .default(10)
      .argParser(finiteNumber('--interval', { min: 0.1, max: 86_400 })),
    new Option('--once', 'end after the first version, and its command if that succeeds'),
  ]);
  addExamples(command, [
    'hookline watch --store s3://my-bucket --model-id aldermark --exec "systemctl reload my-service"',
    `hookline watch --exec 'echo "$HOOKLINE_PREVIOUS_VERSION -> $HOOKLINE_VERSION in $HOOKLINE_VERSION_DIR"'`,
    'hookline watch --interval 2 --json',
  ]);
  return command.addHelpText(
    'after',
    `
The command runs for the version that is there at the start and for each that follows, rollbacks too, one at a time: of
those that come while it runs, the last is next. It finds HOOKLINE_MODEL_ID, HOOKLINE_VERSION, HOOKLINE_VERSION_DIR and
HOOKLINE_PREVIOUS_VERSION (empty for the first) in its environment. One that fails runs again, for what is the latest
then, after a pause that doubles with each failure, up to 16 intervals. With --json its output goes to standard error.
A version that is torn, tampered with or for another base model is refused, and the one before stays current.
Ctrl-C or SIGTERM ends the watch in order and is passed on to a running command; a second one ends both at once.`,
  );
}

async function watch(options: WatchCommandOptions): Promise<void> {
  const { watchVersions } = await import('../../registry/index.js');
  const { onStop } = await import('../terminal/stop-signals.js');
  const terminal = createTerminal(options);
  const { folder, modelId } = await openVersionFolder(options, terminal);
  const stopping = new AbortController();
  const listener = onStop(async (signal) => stopping.abort(signal));
  const take = versionTaker(terminal, modelId, options, stopping.signal);
  terminal.note(`watching ${modelId} in ${options.store}; Ctrl-C ends it`);
  await watchVersions(folder, {
    intervalSeconds: options.interval,
    signal: stopping.signal,
    onVersion: async (version) => {
      await take(version);
      if (options.once) stopping.abort();
    },
    onError: (error, nextSeconds) =>
      terminal.warn(`${failureOf(error).message} (looking again in ${secondsAsText(nextSeconds)})`),
  });
  listener.dispose();
}

/** Makes the handler of new versions: it reports each version once and runs the command for it. */
function versionTaker(terminal: Terminal, modelId: string, options: WatchCommandOptions, stopping: AbortSignal) {
  const { exec, execTimeout } = options;
  let announced: FolderVersion | undefined;
  return async (taken: FolderVersion): Promise<void> => {
    if (taken !== announced) announce(terminal, modelId, taken);
    announced = taken;
    if (exec === undefined) return;
    const { runShellCommand } = await import('./run-shell-command.js');
    const { version, path, previous } = taken;
    const environment = {
      HOOKLINE_MODEL_ID: modelId,
      HOOKLINE_VERSION: String(version),
      HOOKLINE_VERSION_DIR: path,
      HOOKLINE_PREVIOUS_VERSION: String(previous ?? ''),
    };
    await runShellCommand(exec, {
      environment,
      stopping,
      ...(execTimeout !== undefined && { timeoutSeconds: execTimeout }),
      output: terminal.isJson ? 'standard error' : 'standard output',
    });
  };
}

function announce(terminal: Terminal, modelId: string, { manifest, ...taken }: FolderVersion): void {
  const { version, previous, path } = taken;
  terminal.jsonLine({ modelId, ...taken, previous: previous ?? null });
  const before = previous === undefined ? '' : ` (before: version ${previous})`;
  terminal.print(`version ${version} of ${modelId} is current${before}: ${path}`);
}

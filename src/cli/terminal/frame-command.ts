import { type Command, Option } from 'commander';

/**
 * Sets up what all commands share, here and in subcommands: errors are thrown so that `main` prints them, and every
 * command that does something takes `--json`, `--quiet` and `--verbose`.
 */
export function frameCommand(command: Command): void {
  command
    .exitOverride()
    .configureOutput({ outputError: () => {} })
    .helpOption('-h, --help', 'show this help')
    .allowExcessArguments(false);
  for (const child of command.commands) frameCommand(child);
  if (command.commands.length === 0) addOptions(command, outputOptions());
}

/** Adds options in their order. */
export function addOptions(command: Command, options: readonly Option[]): Command {
  for (const option of options) command.addOption(option);
  return command;
}

/** Adds the examples below a command's help. */
export function addExamples(command: Command, examples: readonly string[]): Command {
  return command.addHelpText('after', `\nExamples:\n${examples.map((example) => `  $ ${example}`).join('\n')}`);
}

const outputOptions = (): Option[] => [
  new Option('--json', 'print one JSON value for scripts'),
  new Option('-q, --quiet', 'show no progress and no remarks'),
  new Option('--verbose', 'print the stack of an unexpected error'),
];

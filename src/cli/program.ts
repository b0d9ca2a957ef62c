import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { parseJson } from '../json.js';
import { frameCommand } from './terminal/frame-command.js';

/** Every command, in the order of the help. */
const commands: Readonly<Record<string, () => Promise<Command>>> = {
  demo: async () => (await import('./commands/demo-command.js')).demoCommand(),
  up: async () => (await import('./commands/up-command.js')).upCommand(),
  run: async () => (await import('./commands/run-command.js')).runCommand(),
  executions: async () => (await import('./commands/executions-command.js')).executionsCommand(),
  execution: async () => (await import('./commands/execution-command.js')).executionCommand(),
  submit: async () => (await import('./commands/submit-command.js')).submitCommand(),
  status: async () => (await import('./commands/status-command.js')).statusCommand(),
  redrive: async () => (await import('./commands/redrive-command.js')).redriveCommand(),
  edit: async () => (await import('./commands/edit-command.js')).editCommand(),
  eval: async () => (await import('./commands/eval-command.js')).evalCommand(),
  estimate: async () => (await import('./commands/estimate-command.js')).estimateCommand(),
  stats: async () => (await import('./commands/stats-command.js')).statsCommand(),
  tune: async () => (await import('./commands/tune-command.js')).tuneCommand(),
  study: async () => (await import('./commands/study-command.js')).studyCommand(),
  versions: async () => (await import('./commands/versions-command.js')).versionsCommand(),
  show: async () => (await import('./commands/show-command.js')).showCommand(),
  diff: async () => (await import('./commands/diff-command.js')).diffCommand(),
  rollback: async () => (await import('./commands/rollback-command.js')).rollbackCommand(),
  revoke: async () => (await import('./commands/revoke-command.js')).revokeCommand(),
  pull: async () => (await import('./commands/pull-command.js')).pullCommand(),
  watch: async () => (await import('./commands/watch-command.js')).watchCommand(),
  verify: async () => (await import('./commands/verify-command.js')).verifyCommand(),
  generate: async () => (await import('./commands/generate-command.js')).generateCommand(),
  export: async () => (await import('./commands/export-command.js')).exportCommand(),
  serve: async () => (await import('./commands/serve-command.js')).serveCommand(),
  model: async () => (await import('./commands/model-command.js')).modelCommand(),
};

/**
 * Makes the program `hookline`. Commands import heavy modules only when they run, so that the help shows at once.
 *
 * @param name the requested command; if it exists, only that command is loaded
 */
export async function hooklineProgram(name?: string): Promise<Command> {
  const program = new Command('hookline')
    .enablePositionalOptions()
    .description('Edit facts in language models without retraining: consecutive, measured, versioned and revocable.')
    .version(packageVersion(), '-V, --version', 'print the version')
    .helpCommand('help [command]', 'show the help of a command');
  const wanted = name !== undefined && Object.hasOwn(commands, name) ? [commands[name]] : Object.values(commands);
  for (const command of await Promise.all(wanted.map((load) => load()))) program.addCommand(command);
  program.addHelpText(
    'after',
    '\nExamples:\n  $ hookline model pull HuggingFaceTB/SmolLM2-135M-Instruct\n  $ hookline versions\n  $ hookline help rollback\n\nExit codes: 0 done, 64 a request that can never succeed, 1 anything else.',
  );
  frameCommand(program);
  return program;
}

function packageVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (parseJson(text) as { version: string }).version;
}

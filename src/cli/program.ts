import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { demoCommand } from './commands/demo-command.js';
import { diffCommand } from './commands/diff-command.js';
import { editCommand } from './commands/edit-command.js';
import { estimateCommand } from './commands/estimate-command.js';
import { evalCommand } from './commands/eval-command.js';
import { executionCommand } from './commands/execution-command.js';
import { executionsCommand } from './commands/executions-command.js';
import { exportCommand } from './commands/export-command.js';
import { generateCommand } from './commands/generate-command.js';
import { modelCommand } from './commands/model-command.js';
import { pullCommand } from './commands/pull-command.js';
import { redriveCommand } from './commands/redrive-command.js';
import { revokeCommand } from './commands/revoke-command.js';
import { rollbackCommand } from './commands/rollback-command.js';
import { runCommand } from './commands/run-command.js';
import { serveCommand } from './commands/serve-command.js';
import { showCommand } from './commands/show-command.js';
import { statsCommand } from './commands/stats-command.js';
import { statusCommand } from './commands/status-command.js';
import { submitCommand } from './commands/submit-command.js';
import { tuneCommand } from './commands/tune-command.js';
import { upCommand } from './commands/up-command.js';
import { verifyCommand } from './commands/verify-command.js';
import { versionsCommand } from './commands/versions-command.js';
import { watchCommand } from './commands/watch-command.js';
import { frameCommand } from './terminal/frame-command.js';

/** Every command, in the order of the help. */
const commands: readonly (() => Command)[] = [
  demoCommand,
  upCommand,
  runCommand,
  executionsCommand,
  executionCommand,
  submitCommand,
  statusCommand,
  redriveCommand,
  editCommand,
  evalCommand,
  estimateCommand,
  statsCommand,
  tuneCommand,
  versionsCommand,
  showCommand,
  diffCommand,
  rollbackCommand,
  revokeCommand,
  pullCommand,
  watchCommand,
  verifyCommand,
  generateCommand,
  exportCommand,
  serveCommand,
  modelCommand,
];

/** The program `hookline`. Commands import what they compute with when they run, so that the help is there at once. */
export function hooklineProgram(): Command {
  const program = new Command('hookline')
    .enablePositionalOptions()
    .description('Edit facts in language models without retraining: consecutive, measured, versioned and revocable.')
    .version(packageVersion(), '-V, --version', 'print the version')
    .helpCommand('help [command]', 'show the help of a command');
  for (const command of commands) program.addCommand(command());
  program.addHelpText(
    'after',
    '\nExamples:\n  $ hookline model pull HuggingFaceTB/SmolLM2-135M-Instruct\n  $ hookline versions\n  $ hookline help rollback\n\nExit codes: 0 done, 64 a request that can never succeed, 1 anything else.',
  );
  frameCommand(program);
  return program;
}

function packageVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { demoCommand } from './demo-command.js';
import { diffCommand } from './diff-command.js';
import { editCommand } from './edit-command.js';
import { evalCommand } from './eval-command.js';
import { executionCommand } from './execution-command.js';
import { executionsCommand } from './executions-command.js';
import { exportCommand } from './export-command.js';
import { frameCommand } from './frame-command.js';
import { generateCommand } from './generate-command.js';
import { modelCommand } from './model-command.js';
import { planCommand } from './plan-command.js';
import { pullCommand } from './pull-command.js';
import { redriveCommand } from './redrive-command.js';
import { revokeCommand } from './revoke-command.js';
import { rollbackCommand } from './rollback-command.js';
import { runCommand } from './run-command.js';
import { serveCommand } from './serve-command.js';
import { showCommand } from './show-command.js';
import { statsCommand } from './stats-command.js';
import { statusCommand } from './status-command.js';
import { submitCommand } from './submit-command.js';
import { tuneCommand } from './tune-command.js';
import { upCommand } from './up-command.js';
import { verifyCommand } from './verify-command.js';
import { versionsCommand } from './versions-command.js';
import { watchCommand } from './watch-command.js';

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
  planCommand,
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

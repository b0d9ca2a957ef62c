#!/usr/bin/env node
import { ensureHomeFolder } from '../home-folder.js';
import { hooklineProgram } from './program.js';
import { failureOf } from './terminal/exit-code.js';
import { printFailure } from './terminal/terminal.js';

/** Runs a command line and gives its exit code: 0, 64 for a request that can never succeed, 1 for anything else. */
async function run(words: readonly string[]): Promise<number> {
  try {
    const program = await hooklineProgram(words[2]);
    await program.parseAsync(words);
    return 0;
  } catch (error) {
    const { exitCode, message, isUnexpected } = failureOf(error);
    const wantsStack = words.includes('--verbose') || Boolean(process.env.DEBUG);
    if (isUnexpected && wantsStack) printFailure((error as Error).stack ?? String(error));
    else if (message !== undefined) printFailure(message, isUnexpected ? 'run again with --verbose' : undefined);
    return exitCode;
  }
}

// The reader of our output may close it early, as `head` does. That is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(0);
});
// The pinned AWS SDK supports this version of Node. Its warning about later SDK versions would only disturb users.
process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true';
ensureHomeFolder();
process.exitCode = await run(process.argv);

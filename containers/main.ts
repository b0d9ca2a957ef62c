/** @file Entry point of the container: one task, `<stage> --plan <key> --shard <index> --attempt <number>`. */

import { defaultMemoryBudgetBytes } from '../src/editing/index.js';
import { HooklineError, TransientError } from '../src/errors.js';
import { ensureHomeFolder } from '../src/home-folder.js';
import type { Progress } from '../src/progress.js';
import { openStore } from '../src/registry/index.js';
import { exitCodes } from '../src/workflow/contract.js';
import { exitCodeOf, runTask } from '../src/workflow/index.js';
import { parseEnvironment, parseTask } from './task-arguments.js';

async function run(words: readonly string[]): Promise<number> {
  const stop = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => stop.abort(new TransientError(`task: time to finish its work, got ${signal}`)));
  }
  try {
    const input = parseTask(words);
    const { storeLocation, cacheFolder, device, solver, memoryBudgetBytes } = parseEnvironment(process.env);
    await runTask(input, {
      // The state machine has read and written it before.
      store: openStore(storeLocation, { mustExist: true }),
      cacheFolder,
      device,
      solver,
      memoryBudgetBytes: memoryBudgetBytes ?? defaultMemoryBudgetBytes,
      listener: { onProgress: progressPrinter(), onNotice: (notice) => console.log(JSON.stringify({ notice })) },
      signal: stop.signal,
    });
    return exitCodes.done;
  } catch (error) {
    console.error(JSON.stringify(failureOf(error)));
    return exitCodeOf(error);
  }
}

/** The failure as one line of JSON on the standard error, with a stack only for unexpected errors. */
function failureOf(error: unknown) {
  const { name, message, stack } = error instanceof Error ? error : new Error(String(error));
  return { error: name, message, ...(!(error instanceof HooklineError) && { stack }) };
}

const millisecondsBetweenLines = 200;

/** Prints progress as lines of JSON on the standard output. A stage's first and last lines are always printed. */
function progressPrinter(): (progress: Progress) => void {
  let printedAt = Number.NEGATIVE_INFINITY;
  let printedStage = '';
  return ({ stage, done, total, unit, detail }) => {
    const isDue = performance.now() - printedAt >= millisecondsBetweenLines;
    if (!isDue && stage === printedStage && done < total) return;
    printedAt = performance.now();
    printedStage = stage;
    console.log(JSON.stringify({ stage, done, total, unit, detail }));
  };
}

// The last line of the standard error is taken as the reason of a failure, so it must not be a warning of the SDK.
process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true';
ensureHomeFolder();
process.exitCode = await run(process.argv.slice(2));

import { InvalidInputError, PermanentError, TransientError } from '../../errors.js';
import { dropFiles, type Execution, type ExecutionResult } from '../../local/index.js';
import type { BatchState } from '../../workflow/index.js';
import type { WorkflowOptions } from '../options/workflow-options.js';
import { onStop } from '../terminal/stop-signals.js';
import type { Terminal } from '../terminal/terminal.js';
import { workflowProgress } from '../terminal/workflow-progress.js';
import { type BatchResult, reportBatches } from './batch-report.js';
import { openWorkflow } from './open-workflow.js';

/** Files to run through the workflow, in order. */
export interface BatchRun {
  readonly modelId: string;
  readonly paths: readonly string[];
  readonly options: WorkflowOptions;
}

/** Drops files into a model's inbox, runs executions until none of them is pending, and reports the outcome. */
export async function runBatches(terminal: Terminal, { modelId, paths, options }: BatchRun): Promise<void> {
  const ends: { readonly execution: Execution; readonly result: ExecutionResult }[] = [];
  const onEnd = (result: ExecutionResult, execution: Execution) => ends.push({ execution, result });
  const opened = await openWorkflow(options, { ...workflowProgress(terminal), onEnd });
  const batches: BatchResult[] = [];
  const stopping = onStop(async () => {
    terminal.note('stopping; what is not published stays pending');
    await opened.workflow.stop();
  });
  try {
    // All files are dropped before the first one runs, so that the workflow knows which round is the last.
    for (const file of await dropFiles(opened.store, modelId, paths)) {
      const { path } = file;
      const first = ends.length;
      const state = await opened.workflow.runBatch(modelId, file);
      if (stopping.isStopped()) break;
      batches.push({ path, ...(state ?? unread(path, ends.slice(first).at(-1)?.result)) });
    }
  } finally {
    stopping.dispose();
  }
  if (stopping.isStopped()) throw new TransientError('run: its end, got a signal to stop; run again to go on');
  const failure = ends.find(({ result }) => result.status === 'FAILED')?.result;
  const executions = ends.map(({ execution, result }) => ({ executionId: execution.id, ...result }));
  const place = { store: opened.store, location: options.store, modelId };
  const isWaiting = batches.some(({ units }) => units.some(({ state }) => state === 'waiting'));
  if (isWaiting && failure !== undefined) throw failureOf(failure);
  await reportBatches(terminal, place, batches, { executions });
}

/** Throws for a batch that the workflow did not record, such as one for an unknown model or with an invalid name. */
function unread(path: string, result: ExecutionResult | undefined): BatchState {
  if (result !== undefined && result.status !== 'SUCCEEDED') throw failureOf(result);
  const said = result?.note?.message.split('\n')[0] ?? 'no outcome';
  throw new InvalidInputError(`batch ${path}`, 'a batch that the workflow takes', said);
}

function failureOf({ error, cause }: ExecutionResult): Error {
  const message = `execution: success, got ${error}: ${cause}`;
  return error === 'PermanentError' ? new PermanentError(message) : new TransientError(message);
}

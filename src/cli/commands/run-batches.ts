import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { InvalidInputError, PermanentError, TransientError } from '../../errors.js';
import type { Execution, ExecutionResult } from '../../local/index.js';
import { incomingKey, type ObjectStore } from '../../registry/index.js';
import { type BatchState, readBatchState } from '../../workflow/index.js';
import type { WorkflowOptions } from '../options/workflow-options.js';
import { onStop } from '../terminal/stop-signals.js';
import type { Terminal } from '../terminal/terminal.js';
import { workflowProgress } from '../terminal/workflow-progress.js';
import { type BatchResult, reportBatches } from './batch-report.js';
import { type OpenWorkflow, openWorkflow } from './open-workflow.js';

/** Files to run through the workflow, one after the other. */
export interface BatchRun {
  readonly modelId: string;
  readonly paths: readonly string[];
  readonly options: WorkflowOptions;
}

/** Drops files into a model's inbox and runs executions until nothing of them is pending; tells what they came to. */
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
    const dropped = await dropAll(opened.store, modelId, paths);
    for (const { path, ...file } of dropped) {
      const first = ends.length;
      const state = await runBatch(opened, modelId, file);
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

/** A batch that left no trace: the model is unknown, or the object's name is none. */
function unread(path: string, result: ExecutionResult | undefined): BatchState {
  if (result !== undefined && result.status !== 'SUCCEEDED') throw failureOf(result);
  const said = result?.note?.message.split('\n')[0] ?? 'no outcome';
  throw new InvalidInputError(`batch ${path}`, 'a batch that the workflow takes', said);
}

function failureOf({ error, cause }: ExecutionResult): Error {
  const message = `execution: success, got ${error}: ${cause}`;
  return error === 'PermanentError' ? new PermanentError(message) : new TransientError(message);
}

/** Every file in the inbox before the first is run: the workflow sees which round is the last. */
async function dropAll(store: ObjectStore, modelId: string, paths: readonly string[]) {
  const dropped: (DroppedFile & { readonly path: string })[] = [];
  const names = new Set<string>();
  for (const [i, path] of paths.entries()) {
    const name = names.has(basename(path)) ? `${i + 1}-${basename(path)}` : basename(path);
    names.add(name);
    dropped.push({ path, ...(await dropFile(store, modelId, path, name)) });
  }
  return dropped;
}

async function runBatch(
  { store, workflow }: OpenWorkflow,
  modelId: string,
  { bytes, objectKey }: DroppedFile,
): Promise<BatchState | undefined> {
  await workflow.start({ trigger: 'run', objectKey, modelId });
  for (;;) {
    await workflow.idle();
    const state = await readBatchState(store, modelId, bytes);
    if (workflow.isStopped || !state?.units.some((unit) => unit.state === 'waiting')) return state;
    // Another process has the model, or an execution failed: whoever comes next goes on with the round.
    await sleep(1000);
    const { started } = await workflow.collect({ trigger: 'next', modelId });
    if (started === 0 && !(await workflow.isHeld(modelId))) return readBatchState(store, modelId, bytes);
  }
}

/** A file that lies in an inbox. */
interface DroppedFile {
  readonly bytes: Uint8Array;
  readonly objectKey: string;
}

/** Puts a file into a model's inbox. @throws {InvalidInputError} if it cannot be read */
export async function dropFile(
  store: ObjectStore,
  modelId: string,
  path: string,
  name = basename(path),
): Promise<DroppedFile> {
  const bytes = await readFile(path).catch((cause: NodeJS.ErrnoException) => {
    throw new InvalidInputError(`batch ${path}`, 'a readable file', cause.code ?? cause.message, { cause });
  });
  const objectKey = incomingKey(modelId, name);
  await store.put(objectKey, bytes);
  return { bytes, objectKey };
}

import { Command, Option } from 'commander';
import type { BatchState } from '../../workflow/index.js';
import { modelIdOption, storeOption } from '../options/model-options.js';
import { addExamples, addOptions } from '../terminal/frame-command.js';
import { createTerminal, type OutputOptions, type Terminal } from '../terminal/terminal.js';
import type { BatchPlace, BatchResult } from './batch-report.js';

interface SubmitOptions extends OutputOptions {
  readonly store: string;
  readonly modelId?: string;
  readonly wait?: boolean;
}

/** `hookline submit`: drops batch files into the inbox of a store whose workflow runs elsewhere. */
export function submitCommand(): Command {
  const command = new Command('submit')
    .description(
      'Drop batch files into the inbox of a store whose workflow runs elsewhere: on AWS, or by `hookline up`',
    )
    .argument('<files...>', 'edits: our JSONL, CounterFact or zsRE')
    .action(submit);
  addOptions(command, [
    storeOption(),
    modelIdOption(),
    new Option('--wait', 'wait until all their rounds have ended, and show what they did'),
  ]);
  return addExamples(command, [
    'hookline submit edits.jsonl --store s3://my-bucket --model-id smollm2-135m-instruct --wait',
    'hookline submit edits.jsonl --store ./hookline-store',
  ]);
}

async function submit(paths: readonly string[], options: SubmitOptions): Promise<void> {
  const { registeredModels } = await import('../../workflow/index.js');
  const { openExistingStore } = await import('../options/open-versions.js');
  const { registeredModel } = await import('./prepare-model.js');
  const { dropFiles, requireReadable } = await import('../../local/index.js');
  const { reportBatches } = await import('./batch-report.js');
  const terminal = createTerminal(options);
  const store = openExistingStore(options.store);
  await requireReadable(paths);
  const modelId = registeredModel(await registeredModels(store), options);
  const dropped = await dropFiles(store, modelId, paths);
  for (const { path, objectKey } of dropped) terminal.note(`${path} is ${objectKey}`);
  if (options.wait !== true) {
    terminal.json({ modelId, dropped: dropped.map(({ path, objectKey }) => ({ path, objectKey })) });
    terminal.print(`${paths.length} ${paths.length === 1 ? 'file' : 'files'} dropped for ${modelId}`);
    return;
  }
  const place = { store, location: options.store, modelId };
  const batches: BatchResult[] = [];
  for (const { path, bytes } of dropped) batches.push({ path, ...(await ended(terminal, place, bytes)) });
  await reportBatches(terminal, place, batches);
}

const pollSeconds = 2;

/** Waits until every unit of a batch has an outcome. */
async function ended(terminal: Terminal, { store, modelId }: BatchPlace, bytes: Uint8Array): Promise<BatchState> {
  const { setTimeout: sleep } = await import('node:timers/promises');
  const { readBatchState } = await import('../../workflow/index.js');
  const bar = terminal.progress('waiting', 1, 'rounds');
  for (;;) {
    const state = await readBatchState(store, modelId, bytes);
    const done = state?.units.filter((unit) => unit.state !== 'waiting').length ?? 0;
    bar.update(done, state === undefined ? 'for the batch to be taken' : undefined, state?.units.length ?? 1);
    if (state !== undefined && done === state.units.length) {
      bar.finish();
      return state;
    }
    await sleep(pollSeconds * 1000);
  }
}

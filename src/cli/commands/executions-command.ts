import { Command, Option } from 'commander';
import type { ExecutionRecord } from '../../local/index.js';
import { storeOption, wholeNumber } from '../options/model-options.js';
import { addExamples, addOptions } from '../terminal/frame-command.js';
import { secondsAsText } from '../terminal/progress.js';
import { type Cell, createTerminal, type OutputOptions } from '../terminal/terminal.js';

interface ExecutionsOptions extends OutputOptions {
  readonly store: string;
  readonly limit?: number;
}

/** `hookline executions`: lists the workflow's executions on this machine. */
export function executionsCommand(): Command {
  const command = new Command('executions')
    .description('List the executions of the workflow in a store: why each was started, and what it came to')
    .action(listAll);
  addOptions(command, [
    storeOption(),
    new Option('--limit <n>', 'only the newest n').argParser(wholeNumber('--limit', { min: 1 })),
  ]);
  return addExamples(command, [
    'hookline executions',
    'hookline executions --store ./hookline-store --limit 20 --json',
  ]);
}

async function listAll({ store: location, limit, ...output }: ExecutionsOptions): Promise<void> {
  const { listExecutions, reapExecutions } = await import('../../local/index.js');
  const { openExistingStore } = await import('../options/open-versions.js');
  const terminal = createTerminal(output);
  const store = openExistingStore(location);
  await reapExecutions(store);
  const records = (await listExecutions(store)).slice(limit === undefined ? 0 : -limit);
  terminal.json(records.map(asJson));
  if (records.length === 0) terminal.print(`no execution in ${location} yet`);
  else terminal.table(head, records.map(rowOf));
}

const head = ['execution', 'started', 'model', 'trigger', 'status', 'outcome', 'version', 'took'];

type ToldExecution = Pick<ExecutionRecord, 'name' | 'executionId' | 'input' | 'startedAt' | 'result'>;

/** The JSON form of an execution. */
export function asJson({ name, executionId, input, startedAt, result }: ToldExecution) {
  return {
    name,
    executionId,
    input,
    startedAt,
    modelId: modelIdOf({ input, result }),
    status: result?.status ?? 'RUNNING',
    outcome: result?.note?.outcome ?? null,
    version: result?.note?.version || null,
    endedAt: result?.endedAt ?? null,
    error: result?.error || null,
    cause: result?.cause || null,
    note: result?.note ?? null,
  };
}

/** The id of the model that an execution works on; empty if it has none. */
export const modelIdOf = ({ input, result }: Pick<ExecutionRecord, 'input' | 'result'>): string =>
  result?.note?.modelId || input.modelId || (input.objectKey.split('/')[1] ?? '');

function rowOf(record: ExecutionRecord): Cell[] {
  const { status, outcome, version, modelId } = asJson(record);
  const { name, startedAt, input, result } = record;
  const seconds = result && (Date.parse(result.endedAt) - Date.parse(startedAt)) / 1000;
  return [
    name,
    startedAt.slice(0, 19).replace('T', ' '),
    modelId,
    input.trigger,
    status,
    outcome,
    version,
    seconds === undefined ? undefined : secondsAsText(seconds),
  ];
}

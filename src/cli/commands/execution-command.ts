import { Command } from 'commander';
import { InvalidInputError } from '../../errors.js';
import type { ExecutionRecord, HistoryEvent, StateRun } from '../../local/index.js';
import type { ObjectStore } from '../../registry/index.js';
import { storeOption } from '../options/model-options.js';
import { addExamples, addOptions } from '../terminal/frame-command.js';
import { secondsAsText } from '../terminal/progress.js';
import { type Cell, createTerminal, type OutputOptions, type Terminal } from '../terminal/terminal.js';
import { describeEvent } from '../terminal/workflow-progress.js';
import { asJson, modelIdOf } from './executions-command.js';

interface ExecutionOptions extends OutputOptions {
  readonly store: string;
}

/** `hookline execution`: the course of one execution. */
export function executionCommand(): Command {
  const command = new Command('execution')
    .description('Show the course of an execution: its states and Map items, what each took, and what failed')
    .argument('<id>', 'an execution, or the beginning or end of its name')
    .action(show);
  addOptions(command, [storeOption()]);
  return addExamples(command, [
    'hookline execution 20260311T091502123-4f1c22ab',
    'hookline execution 4f1c22ab --store ./hookline-store --json',
  ]);
}

async function show(id: string, { store: location, ...output }: ExecutionOptions): Promise<void> {
  const { readHistory, reapExecutions, stateRuns } = await import('../../local/index.js');
  const { openExistingStore } = await import('../options/open-versions.js');
  const terminal = createTerminal(output);
  const store = openExistingStore(location);
  await reapExecutions(store);
  const record = await findExecution(store, id);
  const events = await readHistory(store, record.name);
  const states = stateRuns(events);
  terminal.json({ ...asJson(record), states, events });
  printExecution(terminal, record);
  if (states.length > 0)
    terminal.table(['state', 'item', 'after', 'took', 'attempts', 'came to'], states.map(rowOf(record)));
  printFailures(terminal, record, events);
}

/** @throws {InvalidInputError} unless exactly one execution is meant */
async function findExecution(store: ObjectStore, id: string): Promise<ExecutionRecord> {
  const { listExecutions } = await import('../../local/index.js');
  const records = await listExecutions(store);
  const name = id.replace(/^local:/, '');
  const exact = records.filter((record) => record.name === name);
  const found =
    exact.length > 0 ? exact : records.filter((record) => record.name.startsWith(name) || record.name.endsWith(name));
  if (found.length === 1) return found[0];
  const got = found.length === 0 ? 'none' : found.map((record) => record.name).join(', ');
  throw new InvalidInputError(`execution ${JSON.stringify(id)}`, 'one execution of the store', got);
}

function printExecution(terminal: Terminal, record: ExecutionRecord): void {
  const { status, outcome } = asJson(record);
  const { name, input, startedAt, result } = record;
  const because = input.objectKey === '' ? input.trigger : `${input.trigger} of ${input.objectKey}`;
  terminal.print(terminal.colors.bold(`execution ${name}`));
  terminal.table(
    ['', ''],
    [
      ['model', modelIdOf(record)],
      ['started', `${startedAt} (${because})`],
      ['status', outcome === null ? status : `${status}, ${outcome}`],
      ...(result?.note ? [['said', `${result.note.subject} ${result.note.message}`.trim()]] : []),
    ],
  );
  terminal.print();
}

const rowOf =
  ({ startedAt }: ExecutionRecord) =>
  ({ state, index, enteredAt, seconds, attempts, error, event }: StateRun): Cell[] => [
    index === null ? state : `  ${state}`,
    index,
    `+${secondsAsText((Date.parse(enteredAt) - Date.parse(startedAt)) / 1000)}`,
    seconds === null ? undefined : secondsAsText(seconds),
    attempts > 1 ? attempts : undefined,
    error ?? (seconds === null ? 'not ended' : ((event && describeEvent(event)) ?? 'done')),
  ];

function printFailures(terminal: Terminal, { result }: ExecutionRecord, events: readonly HistoryEvent[]): void {
  const failures = events.filter(
    ({ type, stateType }) => (type === 'StateFailed' && stateType !== 'Fail') || type === 'TaskAttemptFailed',
  );
  if (failures.length > 0) terminal.print();
  for (const { at, state, index, error, cause } of failures) {
    terminal.print(`${at} ${state}${index === undefined ? '' : ` ${index}`}: ${error}: ${cause}`);
  }
  if (result !== undefined && result.status !== 'SUCCEEDED') {
    terminal.print(terminal.colors.red(`${result.status}: ${result.error}: ${result.cause}`));
  }
}

import Table from 'cli-table3';
import type { SoakResult } from './soak.js';

/** Numbers by their names, as a table. */
export function printTable(title: string, rows: Readonly<Record<string, number>>): void {
  const table = new Table({
    head: [title, ''],
    colAligns: ['left', 'right'],
    style: { head: [], border: [], compact: true },
  });
  for (const [name, value] of Object.entries(rows))
    table.push([name, Number.isInteger(value) ? value : value.toFixed(1)]);
  process.stdout.write(`${table.toString()}\n`);
}

/** What a soak did. */
export function printSoak(result: SoakResult): void {
  const { seconds, executions, edits, dropped, taskKills, runnerKills, broken, ...counts } = result;
  printTable('executions', { all: sum(executions), ...executions });
  printTable('dropped', { ...dropped });
  printTable('tasks killed', { all: sum(taskKills), ...taskKills });
  printTable('runners killed', { all: sum(runnerKills), ...runnerKills });
  printTable('edits', { ...edits });
  printTable('faults', { ...counts, seconds, 'invariants broken': broken.length });
}

const sum = (counts: Readonly<Record<string, number>>): number =>
  Object.values(counts).reduce((total, count) => total + count, 0);

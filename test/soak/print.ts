import Table from 'cli-table3';
import { markdownTable } from '../bench/results-page.js';
import type { SoakResult } from './soak.js';

/** Numbers by their names. */
export interface CountTable {
  readonly title: string;
  readonly rows: Readonly<Record<string, number>>;
}

/** Prints a table. */
export function printTable({ title, rows }: CountTable): void {
  const table = new Table({
    head: [title, ''],
    colAligns: ['left', 'right'],
    style: { head: [], border: [], compact: true },
  });
  for (const row of cellsOf(rows)) table.push(row);
  process.stdout.write(`${table.toString()}\n`);
}

/** Tables in Markdown. */
export const markdownOf = (tables: readonly CountTable[]): string =>
  tables.map(({ title, rows }) => markdownTable([title, ''], cellsOf(rows))).join('\n\n');

const cellsOf = (rows: CountTable['rows']): [string, string][] =>
  Object.entries(rows).map(([name, value]) => [name, Number.isInteger(value) ? String(value) : value.toFixed(1)]);

/** What a soak did. */
export function soakTables(result: SoakResult): CountTable[] {
  const { seconds, executions, edits, dropped, taskKills, runnerKills, broken, ...counts } = result;
  return [
    { title: 'executions', rows: { all: sum(executions), ...executions } },
    { title: 'dropped', rows: { ...dropped } },
    { title: 'tasks killed', rows: { all: sum(taskKills), ...taskKills } },
    { title: 'runners killed', rows: { all: sum(runnerKills), ...runnerKills } },
    { title: 'edits', rows: { ...edits } },
    { title: 'faults', rows: { ...counts, seconds, 'invariants broken': broken.length } },
  ];
}

const sum = (counts: Readonly<Record<string, number>>): number =>
  Object.values(counts).reduce((total, count) => total + count, 0);

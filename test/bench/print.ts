/** @file Figures as tables and as JSON. */
import { mkdir, writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { dirname } from 'node:path';
import Table from 'cli-table3';
import type { BenchContext } from './context.js';
import { type Figure, isMet, type Measurement } from './figure.js';
import { markdownTable } from './results-page.js';

/** Prints one measurement's figures. */
export function printMeasurement({ name, figures, note }: Measurement): void {
  const { columns, rows } = tableOf(figures);
  const table = new Table({
    head: [name, ...columns, 'unit', 'wanted', ''],
    colAligns: ['left', ...columns.map(() => 'right' as const), 'left', 'right', 'left'],
    style: { head: [], border: [], compact: true },
  });
  table.push(...rows);
  process.stdout.write(`${table.toString()}\n${note ? `${note}\n` : ''}\n`);
}

/** One measurement's figures in Markdown. */
export function markdownOf({ figures, note }: Measurement): string {
  const { columns, rows } = tableOf(figures);
  const table = markdownTable(['', ...columns, 'unit', 'wanted', ''], rows, columns.length);
  return note ? `${table}\n\n${note}` : table;
}

/** Columns of numbers: one, or one for each of those who are compared. A row: what, numbers, unit, what is wanted, whether met. */
function tableOf(figures: readonly Figure[]): { readonly columns: string[]; readonly rows: string[][] } {
  const columnOf = ({ by = 'value' }: Figure) => by;
  const columns = [...new Set(figures.map(columnOf))];
  const rows = [...new Set(figures.map(({ what }) => what))].map((what) => {
    const group = figures.filter((figure) => figure.what === what);
    const numbers = columns.map((column) => {
      const found = group.find((figure) => columnOf(figure) === column);
      return found === undefined ? '' : format(found.value);
    });
    return [what, ...numbers, group[0].unit, ...judgement(group)];
  });
  return { columns, rows };
}

function judgement(group: readonly Figure[]): [string, string] {
  const [wanted] = group.flatMap((figure) => figure.wanted ?? []);
  if (wanted === undefined) return ['', ''];
  const bound = 'atLeast' in wanted ? `>= ${wanted.atLeast}` : `<= ${wanted.atMost}`;
  return [bound, group.some((figure) => isMet(figure) === false) ? 'MISSED' : 'met'];
}

function format(value: number): string {
  if (Number.isInteger(value)) return value.toLocaleString('en');
  if (value !== 0 && Math.abs(value) < 1e-3) return value.toExponential(2);
  return value.toPrecision(value >= 1000 ? 4 : 3);
}

/** Writes all measurements with what they were made on. */
export async function writeResults(
  path: string,
  { model, settings, options }: BenchContext,
  measurements: readonly Measurement[],
): Promise<void> {
  const { layers, dModel, dInner, vocab, modelType } = model.config;
  const results = {
    date: new Date().toISOString(),
    node: process.version,
    clock: options.clock,
    threads: options.threads ?? null,
    quick: options.quick,
    processor: { model: cpus()[0]?.model ?? 'unknown', cores: cpus().length },
    model: { modelType, layers, dModel, dInner, vocab },
    hookedLayers: settings.layers,
    measurements: measurements.map((measurement) => ({
      ...measurement,
      figures: measurement.figures.map((figure) => ({ ...figure, met: isMet(figure) })),
    })),
  };
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, `${JSON.stringify(results, null, 2)}\n`);
}

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
  const table = new Table({
    head: [name, 'value', 'unit', 'wanted', ''],
    colAligns: ['left', 'right', 'left', 'right', 'left'],
    style: { head: [], border: [], compact: true },
  });
  for (const figure of figures) table.push(cellsOf(figure));
  process.stdout.write(`${table.toString()}\n${note ? `${note}\n` : ''}\n`);
}

/** One measurement's figures in Markdown. */
export function markdownOf({ figures, note }: Measurement): string {
  const rows = figures.map((figure) => cellsOf(figure));
  const table = markdownTable(['', 'value', 'unit', 'wanted', ''], rows);
  return note ? `${table}\n\n${note}` : table;
}

const cellsOf = (figure: Figure): string[] => [figure.what, format(figure.value), figure.unit, ...judgement(figure)];

function judgement(figure: Figure): [string, string] {
  const { wanted } = figure;
  if (wanted === undefined) return ['', ''];
  const bound = 'atLeast' in wanted ? `>= ${wanted.atLeast}` : `<= ${wanted.atMost}`;
  return [bound, isMet(figure) ? 'met' : 'MISSED'];
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

import Table from 'cli-table3';
import picocolors from 'picocolors';
import { allowsColor, type OutputStream, unpinLine, writeLine } from './output-stream.js';
import { markColors, printableInLine, safely } from './printable.js';
import { type ProgressBar, startProgress } from './progress.js';

type Color = (text: string) => string;

/** The colours of a stream. */
interface Colors {
  readonly bold: Color;
  readonly dim: Color;
  readonly green: Color;
  readonly red: Color;
  readonly yellow: Color;
}

/** The content of a table cell; undefined and null show as a dash. */
export type Cell = string | number | null | undefined;

/** The output of a command: results go to standard output, remarks and progress to standard error. */
export interface Terminal {
  /** Whether the caller is a script that wants one JSON value. */
  readonly isJson: boolean;
  /** Colours of standard output. They have no effect if it is no terminal or `NO_COLOR` is set. */
  readonly colors: Colors;
  /** A line of the result; nothing with `--json`. */
  print(text?: string): void;
  /** A part of the result as a table, columns of numbers flush right; nothing with `--json`. */
  table(head: readonly string[], rows: readonly (readonly Cell[])[]): void;
  /** The whole result for scripts; nothing without `--json`. Call it only once. */
  json(value: unknown): void;
  /** One of several results for scripts, on one line; nothing without `--json`. */
  jsonLine(value: unknown): void;
  /** A remark during the work, to standard error; nothing with `--json` or `--quiet`. */
  note(message: string): void;
  /** Something the user must know, to standard error in any case. */
  warn(message: string): void;
  /** Starts a progress bar on standard error; nothing shows with `--json` or `--quiet`. One at a time. */
  progress(label: string, total: number, unit: string): ProgressBar;
}

/** `--json` and `--quiet`, as every command takes them. */
export interface OutputOptions {
  readonly json?: boolean;
  readonly quiet?: boolean;
}

/** The streams and the clock that a terminal uses. */
export interface TerminalStreams {
  readonly output: OutputStream;
  readonly errors: OutputStream;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** The clock, in milliseconds. */
  readonly now: () => number;
}

const processStreams = (): TerminalStreams => ({
  output: process.stdout,
  errors: process.stderr,
  environment: process.env,
  now: () => performance.now(),
});

/** The terminal of a command. Nothing else in the project writes to the standard streams. */
export function createTerminal(options: OutputOptions = {}, streams: TerminalStreams = processStreams()): Terminal {
  const { json: isJson = false, quiet = false } = options;
  const { output, errors, environment, now } = streams;
  const colors = colorsOf(output, environment);
  const errorColors = colorsOf(errors, environment);
  const isTalkative = !isJson && !quiet;
  const print = (text = '') => {
    if (!isJson) writeLine(output, text);
  };
  return {
    isJson,
    colors,
    print,
    table: (head, rows) => print(formatTable(head, rows, allowsColor(output, environment))),
    json: (value) => {
      if (isJson) writeLine(output, JSON.stringify(value, null, 2));
    },
    jsonLine: (value) => {
      if (isJson) writeLine(output, JSON.stringify(value));
    },
    note: (message) => {
      if (isTalkative) writeLine(errors, errorColors.dim(printableInLine(message)));
    },
    warn: (message) => writeLine(errors, `${errorColors.yellow('warning:')} ${printableInLine(message)}`),
    progress: (label, total, unit) => startProgress({ label, total, unit, stream: errors, isShown: isTalkative, now }),
  };
}

function colorsOf(stream: OutputStream, environment: TerminalStreams['environment']): Colors {
  const { bold, dim, green, red, yellow } = picocolors.createColors(allowsColor(stream, environment));
  return { bold: safely(bold), dim: safely(dim), green: safely(green), red: safely(red), yellow: safely(yellow) };
}

/** Writes the line that says why a command failed, or its stack, below a bar that may still be shown. */
export function printFailure(message: string, hint?: string): void {
  unpinLine();
  const { red, dim } = colorsOf(process.stderr, process.env);
  writeLine(process.stderr, `${red('error:')} ${message}${hint === undefined ? '' : dim(` (${hint})`)}`);
}

const dash = '–';
const numeric = /^[-+]?\d[\d.,]*( ?[%x])?$/;

function formatTable(head: readonly string[], rows: readonly (readonly Cell[])[], isColored: boolean): string {
  const { bold } = picocolors.createColors(isColored);
  const texts = rows.map((row) => row.map((cell) => (cell == null || cell === '' ? dash : printableInLine(`${cell}`))));
  const isNumeric = (column: number) =>
    texts.some((row) => row[column] !== dash) &&
    texts.every((row) => row[column] === dash || numeric.test(row[column]));
  const table = new Table({
    head: head.map((title) => bold(printableInLine(title))),
    colAligns: head.map((_, column) => (isNumeric(column) ? 'right' : 'left')),
    style: { compact: true, head: [], border: [], 'padding-left': 0, 'padding-right': 2 },
    chars: borderless,
  });
  table.push(...texts);
  return markColors(table.toString())
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}

const borderless = Object.fromEntries(
  ['top', 'bottom', 'left', 'right', 'mid', 'middle'].flatMap((side) =>
    ['', '-mid', '-left', '-right'].map((end) => [side + end, '']),
  ),
);

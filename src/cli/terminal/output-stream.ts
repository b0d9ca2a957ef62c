/** @file The only place that writes to the standard streams: lines, and one line at the bottom that is redrawn. */
import { printable, printableInLine } from './printable.js';

/** The part of `process.stdout` that is used here. */
export interface OutputStream {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

/** Whether a stream shows colours: https://no-color.org, and `FORCE_COLOR` for logs that understand them. */
export function allowsColor(stream: OutputStream, environment: Readonly<Record<string, string | undefined>>): boolean {
  if (environment.NO_COLOR) return false;
  if (environment.FORCE_COLOR) return environment.FORCE_COLOR !== '0';
  return stream.isTTY === true && environment.TERM !== 'dumb';
}

const clearLine = '\r\u001b[K';

// Standard output and standard error share one screen, so there is one such line.
let pinned: { readonly stream: OutputStream; readonly text: string } | undefined;

/** Redraws the bottom line, cut to the screen's width. Only for streams that are terminals. */
export function pinLine(stream: OutputStream, text: string): void {
  stream.write(`${clearLine}${printableInLine(text).slice(0, (stream.columns || 80) - 1)}`);
  pinned = { stream, text };
}

/** Leaves the bottom line as it is and continues below it. */
export function unpinLine(): void {
  pinned?.stream.write('\n');
  pinned = undefined;
}

/** Writes text and a line break, above the bottom line if there is one. */
export function writeLine(stream: OutputStream, text: string): void {
  const below = stream.isTTY ? pinned : undefined;
  below?.stream.write(clearLine);
  stream.write(`${printable(text)}\n`);
  if (below !== undefined) pinLine(below.stream, below.text);
}

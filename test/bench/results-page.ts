/** @file Tables of `npm run bench` and `npm run soak` in docs/results.md, each between two markers of its own. */
import { readFileSync, writeFileSync } from 'node:fs';
import { basename, isAbsolute, join } from 'node:path';

/** Where the tables stand below a project's root. */
export const resultsPath = (root: string): string => join(root, 'docs', 'results.md');

/** Which tool measured, and what it was told to. */
export interface ToolCall {
  readonly tool: 'bench' | 'soak';
  readonly args: readonly string[];
}

/** The page with other content between the markers of a name. @throws {Error} naming the markers that are missing */
export function withContent(page: string, name: string, content: string): string {
  const [begin, end] = [`<!-- ${name} -->`, `<!-- /${name} -->`];
  const from = page.indexOf(begin);
  const to = page.indexOf(end, from);
  if (from < 0 || to < 0) throw new Error(`docs/results.md: ${begin} and below it ${end}, got none`);
  return `${page.slice(0, from + begin.length)}\n${content}\n${page.slice(to)}`;
}

/** Looks for all markers, before anything is measured for long. @throws {Error} naming those that are missing */
export function requireMarkers(path: string, { tool }: ToolCall, names: readonly string[]): void {
  const page = readFileSync(path, 'utf8');
  for (const name of names) withContent(page, `${tool}:${name}`, '');
}

/** Writes what was measured under a name, and below it the command that measures this alone, and the date. */
export function writeTables(path: string, call: ToolCall, name: string, tables: string, now = new Date()): void {
  const made = `\`${commandOf(call, name)}\`, ${now.toISOString().slice(0, 10)}`;
  writeFileSync(path, withContent(readFileSync(path, 'utf8'), `${call.tool}:${name}`, `${tables}\n\n${made}`));
}

/** A table whose first column is text and whose next ones, one unless said otherwise, are numbers. */
export function markdownTable(head: readonly string[], rows: readonly (readonly string[])[], numbers = 1): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  const rule = head.map((_, column) => (column >= 1 && column <= numbers ? '--:' : '---'));
  return [line(head), line(rule), ...rows.map(line)].join('\n');
}

/** Options that say where something is put: they change no number. */
const placing = { bench: ['--only', '--json'], soak: ['--only', '--store'] } as const;

/** The command that measures one thing, without the folders of this machine. */
function commandOf({ tool, args }: ToolCall, name: string): string {
  const withValue: readonly string[] = placing[tool];
  const kept = args.filter((word, i) => {
    const [option] = word.split('=');
    return !['--write', '--json', ...withValue].includes(option) && !withValue.includes(args[i - 1]);
  });
  const shown = kept.map((word) => (isAbsolute(word) ? basename(word) : word));
  return ['npm run', tool, '-- --only', name, ...shown].join(' ');
}

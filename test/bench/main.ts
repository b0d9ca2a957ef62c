/** @file `npm run bench`: measures what the project promises, prints tables and writes JSON; with `--write` also into docs/results.md. */

import { useClock } from './clock.js';
import { openContext } from './context.js';
import { isMet, type Measurement } from './figure.js';
import { limitThreads } from './limit-threads.js';
import { measurements, needsPython } from './measurements.js';
import { pythonModules, readOptions, root } from './options.js';
import { markdownOf, printMeasurement, writeResults } from './print.js';
import { requireMarkers, resultsPath, writeTables } from './results-page.js';

const options = readOptions(process.argv.slice(2));
const unknown = options.only.find((name) => !(name in measurements));
if (unknown !== undefined) {
  process.stderr.write(`--only: one of ${Object.keys(measurements).join(', ')}, got ${unknown}\n`);
  process.exit(64);
}
const chosen = Object.keys(measurements).filter((name) => options.only.length === 0 || options.only.includes(name));
const call = { tool: 'bench', args: process.argv.slice(2) } as const;
const page = options.write ? resultsPath(root) : undefined;
if (page !== undefined) requireMarkers(page, call, chosen);
useClock(options.clock);
if (options.threads !== undefined) limitThreads(options.threads);
const context = await openContext(options);
const results: Measurement[] = [];
for (const name of chosen) {
  if (needsPython.includes(name) && options.python === undefined) {
    const modules = pythonModules.join(', ');
    process.stdout.write(`${name}: skipped, neither --python nor HOOKLINE_PYTHON nor python3 has ${modules}\n`);
    continue;
  }
  const result = await measurements[name](context);
  printMeasurement(result);
  if (page !== undefined) writeTables(page, call, name, markdownOf(result));
  results.push(result);
}
await writeResults(options.json, context, results);
const missed = results.flatMap(({ figures }) => figures).filter((figure) => isMet(figure) === false);
process.stdout.write(`${missed.length === 0 ? 'All numbers are met.' : `${missed.length} missed.`} ${options.json}\n`);

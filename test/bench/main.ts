/** @file `npm run bench`: measures what the project promises, prints tables and writes JSON. */

import { measureArtifact } from './artifact.js';
import { useClock } from './clock.js';
import { type BenchContext, openContext } from './context.js';
import { measureDecoding } from './decoding.js';
import { measurePlan } from './estimate.js';
import { isMet, type Measurement } from './figure.js';
import { measureGemm } from './gemm-rate.js';
import { measureHookOverhead } from './hook-overhead.js';
import { measureIdlePull } from './idle-pull.js';
import { measureInverseFactor } from './inverse-factor.js';
import { limitThreads } from './limit-threads.js';
import { measureMemory } from './memory.js';
import { measureMicroBatches } from './micro-batches.js';
import { readOptions } from './options.js';
import { printMeasurement, writeResults } from './print.js';
import { measurePytorchSearch } from './pytorch-search.js';
import { measureRounds } from './rounds.js';
import { measureSolvers } from './solvers.js';
import { measureStatistics } from './statistics.js';
import { measureValueEfficiency } from './value-efficiency.js';
import { measureValueSearch } from './value-search.js';
import { measureVersionSwitch } from './version-switch.js';

const measurements: Readonly<Record<string, (context: BenchContext) => Promise<Measurement>>> = {
  gemm: measureGemm,
  'value-search': measureValueSearch,
  'pytorch-search': measurePytorchSearch,
  'value-efficiency': measureValueEfficiency,
  'micro-batches': measureMicroBatches,
  statistics: measureStatistics,
  rounds: measureRounds,
  'hook-overhead': measureHookOverhead,
  decoding: measureDecoding,
  'version-switch': measureVersionSwitch,
  'idle-pull': measureIdlePull,
  artifact: measureArtifact,
  memory: measureMemory,
  'inverse-factor': measureInverseFactor,
  solvers: measureSolvers,
  plan: measurePlan,
};

const options = readOptions(process.argv.slice(2));
const unknown = options.only.find((name) => !(name in measurements));
if (unknown !== undefined) {
  process.stderr.write(`--only: one of ${Object.keys(measurements).join(', ')}, got ${unknown}\n`);
  process.exit(64);
}
useClock(options.clock);
if (options.threads !== undefined) limitThreads(options.threads);
const context = await openContext(options);
const results: Measurement[] = [];
for (const [name, measure] of Object.entries(measurements)) {
  if (options.only.length > 0 && !options.only.includes(name)) continue;
  if (name === 'pytorch-search' && options.python === undefined) {
    process.stdout.write('pytorch-search: skipped, --python <interpreter with torch and transformers> not given\n');
    continue;
  }
  const result = await measure(context);
  printMeasurement(result);
  results.push(result);
}
await writeResults(options.json, context, results);
const missed = results.flatMap(({ figures }) => figures).filter((figure) => isMet(figure) === false);
process.stdout.write(`${missed.length === 0 ? 'All numbers are met.' : `${missed.length} missed.`} ${options.json}\n`);

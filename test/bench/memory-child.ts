/** @file One job in a process of its own, which then says how much memory it took. */
import { existsSync, readFileSync } from 'node:fs';
import { emptyMomentSums, KeyMomentProgram, ValueSearch } from '../../src/editing/index.js';
import { openContext } from './context.js';
import type { ChildMemory } from './memory.js';
import { readOptions } from './options.js';

const [job, model, data, layers] = process.argv.slice(2);
const context = await openContext(readOptions(['--model', model, '--data', data, '--layers', layers, '--quick']));
const rollup = '/proc/self/smaps_rollup';
let physicalBytes = 0;
const look = () => {
  if (!existsSync(rollup)) return;
  const kilobytes = Number(/^Pss:\s+(\d+)/m.exec(readFileSync(rollup, 'utf8'))?.[1]);
  physicalBytes = Math.max(physicalBytes, 1024 * kilobytes);
};
const startBytes = process.memoryUsage.rss();
if (job === 'statistics') {
  const moments = await KeyMomentProgram.compile(context.model, context.settings.layers);
  const sums = emptyMomentSums(context.settings.layers, context.model.config.dInner);
  for (let batch = 0; batch < 4; batch++) {
    await moments.add(context.text(8, 128), sums);
    look();
  }
} else {
  const settings = { ...context.settings, stopLoss: 0, steps: 6, targetSteps: 0 };
  const search = await ValueSearch.compile(context.model, settings);
  await search.search(context.subjects, { onStep: look });
}
const result: ChildMemory = {
  startBytes,
  peakBytes: process.resourceUsage().maxRSS * 1024,
  ...(physicalBytes > 0 && { physicalBytes }),
};
process.stdout.write(JSON.stringify(result));

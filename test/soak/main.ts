/** @file `npm run soak -- [--only executions,queue,fuzz,shards] [--executions 300] [--seed 1] [--minutes 30] [--store dir] [--json]`. */
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { type Part, readOptions, type SoakCommand } from './options.js';
import { printSoak, printTable } from './print.js';
import { projectFolder, SoakPrograms } from './programs.js';
import { soak } from './soak.js';

/** What a part came to: numbers for JSON, and what did not hold. */
interface PartResult {
  readonly broken: readonly string[];
}

interface Place {
  readonly folder: string;
  readonly programs: SoakPrograms;
  readonly workflowPath: string;
}

const note = (line: string) => process.stderr.write(`${line}\n`);

const runs: Record<Part, (command: SoakCommand, place: Place) => Promise<PartResult>> = {
  executions: async ({ executions, seed, minutes, json }, place) => {
    const rates = { faults: { lostReplies: 0.015, conflicts: 0.01 }, kills: { task: 0.14, runner: 0.02 } };
    const amount = { executions, executionsPerSeason: 60, seed, minutes };
    const result = await soak({ ...place, ...amount, ...rates, onProgress: note });
    if (!json) printSoak(result);
    return result;
  },
  queue: async ({ batches, minutes, json }, place) => {
    const { runQueue } = await import('./queue.js');
    const result = await runQueue({ ...place, batches, others: Math.min(8, batches), minutes, onProgress: note });
    if (!json) printTable('queue', result.counts);
    return result;
  },
  fuzz: async ({ cases, seed, json }) => {
    const { fuzz } = await import('./fuzz.js');
    const result = await fuzz({ cases, seed });
    if (!json) printTable('fuzz', result.counts);
    return result;
  },
  shards: async ({ shards, json }, place) => {
    const { runShards } = await import('./shards.js');
    const result = await runShards({ ...place, shards, onProgress: note });
    if (!json) printTable('shards', result.counts);
    return result;
  },
};

const command = readOptions(process.argv.slice(2));
const folder = command.store === undefined ? mkdtempSync(join(tmpdir(), 'hookline-soak-')) : resolve(command.store);
const programs = await SoakPrograms.bundle();
const results: Partial<Record<Part, PartResult>> = {};
try {
  const workflowPath = join(folder, 'workflow.json');
  mkdirSync(folder, { recursive: true });
  copyFileSync(join(projectFolder, 'dist/workflow.json'), workflowPath);
  for (const part of command.only) {
    results[part] = await runs[part](command, { folder: join(folder, part), programs, workflowPath });
  }
} finally {
  programs.remove();
  if (command.store === undefined) rmSync(folder, { recursive: true, force: true });
}
if (command.json) process.stdout.write(`${JSON.stringify(results, null, 2)}\n`);
const broken = Object.values(results).flatMap((result) => result.broken);
for (const line of broken) note(`BROKEN ${line}`);
process.exitCode = broken.length === 0 ? 0 : 1;

/** @file `npm run soak -- [--only executions,queue,fuzz,models,shards,inbox] [--executions 300] [--files 500] [--seed 1] [--minutes 30] [--store dir] [--json] [--write]`. */
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { requireMarkers, resultsPath, writeTables } from '../bench/results-page.js';
import { type Part, readOptions, type SoakCommand } from './options.js';
import { type CountTable, markdownOf, printTable, soakTables } from './print.js';
import { projectFolder, SoakPrograms } from './programs.js';
import { soak } from './soak.js';

/** What a part came to. */
interface PartResult {
  /** Numbers for JSON, and what did not hold. */
  readonly result: { readonly broken: readonly string[] };
  readonly tables: readonly CountTable[];
}

interface Place {
  readonly folder: string;
  readonly programs: SoakPrograms;
  readonly workflowPath: string;
}

const note = (line: string) => process.stderr.write(`${line}\n`);

const runs: Record<Part, (command: SoakCommand, place: Place) => Promise<PartResult>> = {
  executions: async ({ executions, seed, minutes }, place) => {
    const rates = { faults: { lostReplies: 0.015, conflicts: 0.01 }, kills: { task: 0.14, runner: 0.02 } };
    const amount = { executions, executionsPerSeason: 60, seed, minutes };
    const result = await soak({ ...place, ...amount, ...rates, onProgress: note });
    return { result, tables: soakTables(result) };
  },
  queue: async ({ batches, minutes }, place) => {
    const { runQueue } = await import('./queue.js');
    const result = await runQueue({ ...place, batches, others: Math.min(8, batches), minutes, onProgress: note });
    return {
      result,
      tables: [{ title: 'queue', rows: { ...result.counts, 'invariants broken': result.broken.length } }],
    };
  },
  fuzz: async ({ cases, seed }) => {
    const { fuzz } = await import('./fuzz.js');
    const result = await fuzz({ cases, seed });
    return {
      result,
      tables: [{ title: 'fuzz', rows: { ...result.counts, 'invariants broken': result.broken.length } }],
    };
  },
  models: async ({ models, seed, skip }, place) => {
    const { runModels } = await import('./models.js');
    const result = await runModels({ ...place, cases: models, seed, skip, onProgress: note });
    return {
      result,
      tables: [{ title: 'models', rows: { ...result.counts, 'invariants broken': result.broken.length } }],
    };
  },
  shards: async ({ shards }, place) => {
    const { runShards } = await import('./shards.js');
    const result = await runShards({ ...place, shards, onProgress: note });
    return {
      result,
      tables: [{ title: 'shards', rows: { ...result.counts, 'invariants broken': result.broken.length } }],
    };
  },
  inbox: async ({ files, seed, minutes, stopSeconds }, place) => {
    const { runInbox } = await import('./inbox.js');
    const actsAsRoot = process.platform === 'linux' && process.getuid?.() === 0;
    if (!actsAsRoot) note('not root on Linux: no disk fills, and executions run as the same user as the writers');
    const amount = { files, seed, minutes, stopSeconds };
    const result = await runInbox({ ...place, ...amount, actsAsRoot, onProgress: note });
    return {
      result,
      tables: [{ title: 'inbox', rows: { ...result.counts, 'invariants broken': result.broken.length } }],
    };
  },
};

const command = readOptions(process.argv.slice(2));
const call = { tool: 'soak', args: process.argv.slice(2) } as const;
const page = command.write ? resultsPath(projectFolder) : undefined;
if (page !== undefined) requireMarkers(page, call, command.only);
const folder = command.store === undefined ? mkdtempSync(join(tmpdir(), 'hookline-soak-')) : resolve(command.store);
const programs = await SoakPrograms.bundle();
const results: Partial<Record<Part, PartResult['result']>> = {};
try {
  const workflowPath = join(folder, 'workflow.json');
  mkdirSync(folder, { recursive: true });
  copyFileSync(join(projectFolder, 'dist/workflow.json'), workflowPath);
  for (const part of command.only) {
    const { result, tables } = await runs[part](command, { folder: join(folder, part), programs, workflowPath });
    results[part] = result;
    if (!command.json) for (const table of tables) printTable(table);
    if (page !== undefined) writeTables(page, call, part, markdownOf(tables));
  }
} finally {
  programs.remove();
  if (command.store === undefined) rmSync(folder, { recursive: true, force: true });
}
if (command.json) process.stdout.write(`${JSON.stringify(results, null, 2)}\n`);
const broken = Object.values(results).flatMap((result) => result.broken);
for (const line of broken) note(`BROKEN ${line}`);
process.exitCode = broken.length === 0 ? 0 : 1;

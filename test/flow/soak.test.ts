import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SoakPrograms } from '../soak/programs.js';
import { runQueue } from '../soak/queue.js';
import { runShards } from '../soak/shards.js';
import { soak } from '../soak/soak.js';
import { buildWorkflow } from '../support/workflow-build.js';

let programs: SoakPrograms;
let folder: string;
let workflowPath: string;
beforeAll(async () => {
  programs = await SoakPrograms.bundle();
  folder = mkdtempSync(join(tmpdir(), 'hookline-soak-'));
  buildWorkflow(programs.folder);
  workflowPath = join(programs.folder, 'workflow.json');
});
afterAll(() => {
  programs.remove();
  rmSync(folder, { recursive: true, force: true });
});

const sum = (counts: Readonly<Record<string, number>>): number =>
  Object.values(counts).reduce((total, count) => total + count, 0);

// Each container task is a process that loads everything anew, and machines differ.
const patience = { timeout: 600_000 };

describe('executions whose processes are killed and whose writes go wrong', patience, () => {
  it('lose no accepted edit, apply none twice, and all end or are picked up again', async () => {
    const rates = {
      faults: { lostReplies: 0.02, conflicts: 0.02 },
      kills: { task: 0.3, runner: 0.03 },
    };
    const amount = { seed: 3, executions: 10, executionsPerSeason: 1000, minutes: 4 };
    const result = await soak({ folder: join(folder, 'soak'), programs, workflowPath, ...amount, ...rates });
    expect(result.broken).toEqual([]);
    expect(sum(result.executions)).toBeGreaterThanOrEqual(10);
    expect(sum(result.taskKills) + sum(result.runnerKills)).toBeGreaterThan(0);
    expect(result.lostReplies + result.conflicts).toBeGreaterThan(0);
    expect(result.edits.editsAccepted).toBeGreaterThan(0);
    expect(result.latestReads).toBeGreaterThan(0);
  });
});

describe('batches that are dropped at once', patience, () => {
  it('are published one after the other in the order of the queue, two models side by side', async () => {
    const place = { folder: join(folder, 'queue'), programs, workflowPath };
    const { counts, broken } = await runQueue({ ...place, batches: 6, others: 2, minutes: 4 });
    expect(broken).toEqual([]);
    expect(counts).toMatchObject({ PUBLISHED: 8 });
  });
});

describe('a round that is divided', patience, () => {
  it('comes to the same in one shard and in several, in any order; a task that is killed is the only one done again', async () => {
    const place = { folder: join(folder, 'shards'), programs, workflowPath };
    const { counts, broken } = await runShards({ ...place, shards: 3 });
    expect(broken).toEqual([]);
    expect(counts).toMatchObject({
      'one: tasks': 5,
      'many: tasks': 11,
      'many, killed: tasks': 11,
      'edits published': 3,
    });
  });
});

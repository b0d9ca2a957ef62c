import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, inject, it } from 'vitest';
import { SoakPrograms } from '../soak/programs.js';
import { soak } from '../soak/soak.js';
import { patienceSeconds } from '../support/patience.js';

const programs = new SoakPrograms(inject('programs'));
const workflowPath = join(programs.folder, 'dist/workflow.json');
const folder = mkdtempSync(join(tmpdir(), 'hookline-soak-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const sum = (counts: Readonly<Record<string, number>>): number =>
  Object.values(counts).reduce((total, count) => total + count, 0);

describe('executions whose processes are killed and whose writes go wrong', () => {
  it('lose no accepted edit, apply none twice, and all end or are picked up again', async () => {
    const rates = {
      faults: { lostReplies: 0.02, conflicts: 0.02 },
      kills: { task: 0.3, runner: 0.03 },
    };
    const amount = { seed: 3, executions: 10, executionsPerSeason: 1000, minutes: patienceSeconds / 60 };
    const result = await soak({ folder, programs, workflowPath, ...amount, ...rates });
    expect(result.broken).toEqual([]);
    expect(sum(result.executions)).toBeGreaterThanOrEqual(10);
    expect(sum(result.taskKills) + sum(result.runnerKills)).toBeGreaterThan(0);
    expect(result.lostReplies + result.conflicts).toBeGreaterThan(0);
    expect(result.edits.editsAccepted).toBeGreaterThan(0);
    expect(result.latestReads).toBeGreaterThan(0);
  });
});

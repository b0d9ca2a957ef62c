import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, inject, it } from 'vitest';
import { SoakPrograms } from '../soak/programs.js';
import { runQueue } from '../soak/queue.js';
import { patienceSeconds } from '../support/patience.js';

const programs = new SoakPrograms(inject('programs'));
const workflowPath = join(programs.folder, 'dist/workflow.json');
const folder = mkdtempSync(join(tmpdir(), 'hookline-soak-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('batches that are dropped at once', () => {
  it('are published one after the other in the order of the queue, two models side by side', async () => {
    const place = { folder, programs, workflowPath };
    const { counts, broken } = await runQueue({ ...place, batches: 6, others: 2, minutes: patienceSeconds / 60 });
    expect(broken).toEqual([]);
    expect(counts).toMatchObject({ PUBLISHED: 8 });
  });
});

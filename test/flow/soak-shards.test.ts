import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, inject, it } from 'vitest';
import { SoakPrograms } from '../soak/programs.js';
import { runShards } from '../soak/shards.js';

const programs = new SoakPrograms(inject('programs'));
const workflowPath = join(programs.folder, 'dist/workflow.json');
const folder = mkdtempSync(join(tmpdir(), 'hookline-soak-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('a round that is divided', () => {
  it('comes to the same in one shard and in several, in any order; a task that is killed is the only one done again', async () => {
    const place = { folder, programs, workflowPath };
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

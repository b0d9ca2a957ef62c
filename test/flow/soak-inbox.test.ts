import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, inject, it } from 'vitest';
import { runInbox } from '../soak/inbox.js';
import { SoakPrograms } from '../soak/programs.js';
import { patienceSeconds } from '../support/patience.js';

const programs = new SoakPrograms(inject('programs'));
const workflowPath = join(programs.folder, 'dist/workflow.json');
const folder = mkdtempSync(join(tmpdir(), 'hookline-soak-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('files that programs of all kinds write into an inbox', () => {
  it('are published or rejected to the last line, in the order of their arrival, by two runners', async () => {
    const place = { folder, programs, workflowPath };
    const amount = { files: 12, seed: 3, minutes: patienceSeconds / 60, stopSeconds: 1 };
    const { counts, broken } = await runInbox({ ...place, ...amount, actsAsRoot: false });
    expect(broken).toEqual([]);
    expect(counts).toMatchObject({ files: 12, 'of a row': 2 });
  });
});

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, inject, it } from 'vitest';
import { mutations } from '../soak/model-mutations.js';
import { runModels } from '../soak/models.js';
import { SoakPrograms } from '../soak/programs.js';

const programs = new SoakPrograms(inject('programs'));
const folder = mkdtempSync(join(tmpdir(), 'hookline-soak-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('model files that are changed at random', () => {
  it('are edited, or refused in one line', async () => {
    const { counts, broken } = await runModels({
      folder,
      programs,
      cases: 2 * mutations.length,
      seed: 7,
      // Limits on their time hang on how busy the machine is: the soak measures them.
      skip: ['patterns'],
    });
    expect(broken).toEqual([]);
    expect(counts.models).toBe(2 * mutations.length);
    expect(counts.edited).toBeGreaterThan(5);
    expect(counts.refused).toBeGreaterThan(20);
  });
});

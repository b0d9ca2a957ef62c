import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { editingApp } from '../../cdk/editing-app.js';
import { functionStages } from '../../src/workflow/contract.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'hookline-bundles-'));
  const context = { 'hookline:imageUri': 'hookline:local' };
  editingApp({ outdir: folder, builtinCloudFormationValidation: false, context }).app.synth();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('the bundles of the functions, as they are deployed', () => {
  it('load with nothing beside them, far from any package: no runtime for models is in them', () => {
    const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.mjs'));
    expect(names).toHaveLength(functionStages.length);
    const bundles = names.map((name) => pathToFileURL(join(folder, name)).href);
    const script = 'for (const path of process.argv.slice(1)) console.log(typeof (await import(path)).handler)';
    const options = { cwd: folder, encoding: 'utf8' } as const;
    const run = spawnSync(process.execPath, ['--input-type=module', '--eval', script, ...bundles], options);
    expect(run.stderr).toBe('');
    expect(run.stdout.trim().split('\n')).toEqual(functionStages.map(() => 'function'));
  });
});

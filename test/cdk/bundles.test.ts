import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { editingApp } from '../../cdk/editing-app.js';
import { synthesizedTemplate } from '../../cdk/synthesize.js';
import { DirectoryObjectStore } from '../../src/registry/directory-object-store.js';
import { functionStages } from '../../src/workflow/contract.js';
import { storeLargeRound } from '../support/large-round.js';
import { resourcesOf } from '../support/policy-rights.js';

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

  it('publish a round of 1 000 edits of a large model with half of the memory that they have', async () => {
    const store = join(folder, 'store');
    const large = { edits: 1000, versionsBefore: 9, layers: [4, 5, 6, 7], dModel: 1536, dInner: 8960 };
    const input = await storeLargeRound(new DirectoryObjectStore(store), large);
    const paths = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.mjs'));
    const publish = paths.find((path) =>
      readFileSync(join(folder, path), 'utf8').includes('functionHandler("publish"'),
    );
    const script = `
      const { handler } = await import(process.argv[1]);
      const { outcome, version } = await handler(JSON.parse(process.argv[2]));
      console.log(JSON.stringify({ outcome, version, peakMiB: process.resourceUsage().maxRSS / 1024 }));`;
    const words = [pathToFileURL(join(folder, publish!)).href, JSON.stringify(input)];
    const env = { HOOKLINE_STORE: store, HOOKLINE_STATE_MACHINE: 'arn:aws:states:eu-west-1:1:stateMachine:h' };
    const run = spawnSync(process.execPath, ['--input-type=module', '--eval', script, ...words], {
      encoding: 'utf8',
      env,
    });
    const { peakMiB, ...published } = JSON.parse(run.stdout) as { peakMiB: number };
    expect(published).toEqual({ outcome: 'published', version: 10 });
    console.info(`peak of publishing 1 000 edits: ${Math.round(peakMiB)} MiB`);
    const functions = resourcesOf(synthesizedTemplate(), 'AWS::Lambda::Function').map(([, made]) => made);
    const { MemorySize } = functions.find(({ Description }) => String(Description).endsWith('publish'))!;
    expect(peakMiB).toBeLessThan(Number(MemorySize) / 2);
    // What an account may ask for from its first day.
    for (const made of functions) expect(Number(made.MemorySize)).toBeLessThanOrEqual(1769);
  });
});

/** @file The programs that tests start, built once for all of them. */
import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import type { TestProject } from 'vitest/node';
import { soakEntries } from '../soak/programs.js';
import { bundlePrograms, projectFolder } from './program-bundle.js';

declare module 'vitest' {
  interface ProvidedContext {
    /** The folder of the built programs: `dist`, as it is packed, and `soak`. */
    readonly programs: string;
  }
}

/** Setup of the tests that start programs. @returns what removes these after the last test */
export default async function setUp(project: TestProject): Promise<() => void> {
  const folder = await bundlePrograms({
    'dist/cli/main': 'src/cli/main.ts',
    'dist/containers/main': 'containers/main.ts',
    'dist/model/encode-thread': 'src/model/encode-thread.ts',
    ...soakEntries,
  });
  project.provide('programs', folder);
  await writeWorkflow(folder);
  return () => rmSync(folder, { recursive: true, force: true });
}

/** The synthesized state machine, as the build writes it. */
async function writeWorkflow(folder: string): Promise<void> {
  const outfile = join(folder, 'cdk/write-workflow.js');
  await build({
    absWorkingDir: projectFolder,
    entryPoints: ['cdk/write-workflow.ts'],
    outfile,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    packages: 'external',
  });
  execFileSync(process.execPath, [outfile, join(folder, 'dist/workflow.json')]);
}

import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Builds what the workflow needs on this machine into a `dist` folder below the project: the container's entry point and the synthesized state machine. */
export function buildWorkflow(dist: string): void {
  const entryPoints = ['containers/main.ts', 'cdk/write-workflow.ts'].map((path) => join(root, path));
  buildSync({
    entryPoints,
    outdir: dist,
    outbase: root,
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'esm',
    packages: 'external',
  });
  execFileSync(process.execPath, [join(dist, 'cdk/write-workflow.js'), join(dist, 'workflow.json')]);
}

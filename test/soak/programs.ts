import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

/** The project's folder, seen from the sources as from what is compiled of them. */
export const projectFolder = ((): string => {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder);
  return folder;
})();

/** The programs that a soak starts and kills, bundled as they are now. */
export class SoakPrograms {
  private constructor(readonly folder: string) {}

  static async bundle(): Promise<SoakPrograms> {
    // Inside the project, so that the programs find their packages.
    const cache = join(projectFolder, 'node_modules/.cache');
    mkdirSync(cache, { recursive: true });
    const folder = mkdtempSync(join(cache, 'hookline-soak-'));
    await build({
      entryPoints: ['runner', 'task', 'sharded-task'].map((name) => join(projectFolder, `test/soak/${name}.ts`)),
      bundle: true,
      splitting: true,
      format: 'esm',
      outdir: folder,
      packages: 'external',
      platform: 'node',
      target: 'node20',
      logLevel: 'warning',
    });
    return new SoakPrograms(folder);
  }

  get runner(): string {
    return join(this.folder, 'runner.js');
  }

  get task(): string {
    return join(this.folder, 'task.js');
  }

  get shardedTask(): string {
    return join(this.folder, 'sharded-task.js');
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

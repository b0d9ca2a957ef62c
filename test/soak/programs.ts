import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { bundlePrograms, projectFolder } from '../support/program-bundle.js';

export { projectFolder };

/** Sources of the programs, by what they become. */
export const soakEntries: Readonly<Record<string, string>> = Object.fromEntries(
  ['runner', 'task', 'sharded-task', 'writer', 'model-case'].map((name) => [`soak/${name}`, `test/soak/${name}.ts`]),
);

/** The programs that a soak starts and kills. */
export class SoakPrograms {
  /** @param folder the one in which they were built */
  constructor(readonly folder: string) {}

  /** Builds them as the sources are now. */
  static async bundle(): Promise<SoakPrograms> {
    return new SoakPrograms(await bundlePrograms(soakEntries));
  }

  get runner(): string {
    return join(this.folder, 'soak/runner.js');
  }

  get task(): string {
    return join(this.folder, 'soak/task.js');
  }

  get shardedTask(): string {
    return join(this.folder, 'soak/sharded-task.js');
  }

  get writer(): string {
    return join(this.folder, 'soak/writer.js');
  }

  get modelCase(): string {
    return join(this.folder, 'soak/model-case.js');
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

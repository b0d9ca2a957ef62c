import { defineConfig } from 'vitest/config';
import { LongFilesFirst } from './test/support/long-files-first.js';
import { patienceSeconds, testPatienceSeconds } from './test/support/patience.js';

const projects: Readonly<Record<string, readonly string[]>> = {
  /** Starts the programs of this project, which are built once, before the first of these tests. */
  flow: ['test/flow/**/*.test.ts', 'test/tier/s3-workflow.test.ts'],
  /** Needs what not every machine has: other programs, larger models. */
  tier: ['test/tier/!(s3-workflow).test.ts'],
  stack: ['test/cdk/**/*.test.ts', 'test/unit/functions/bundles.test.ts'],
  package: ['test/package/**/*.test.ts'],
  browser: ['test/browser/**/*.test.ts'],
  /** Starts and kills small processes, or cuts work off at each of its writes. */
  process: [
    'test/unit/workflow/stages/control-plane.test.ts',
    'test/unit/local/local-workflow.test.ts',
    'test/unit/cli/stop-signals.test.ts',
    'test/unit/registry/processes.test.ts',
    'test/unit/registry/version-folder.test.ts',
  ],
};

/** Everything else, so that no test is forgotten: the inner loop. */
const unit = {
  name: 'unit',
  include: ['test/**/*.test.ts'],
  exclude: Object.values(projects).flat(),
  // Files share what they import, which takes longer than most of their tests.
  isolate: false,
};

export default defineConfig({
  test: {
    setupFiles: ['test/support/matchers.ts'],
    reporters: ['default', './test/support/closing-line-reporter.ts'],
    pool: 'forks',
    maxWorkers: 2,
    sequence: { sequencer: LongFilesFirst },
    testTimeout: 1000 * testPatienceSeconds,
    hookTimeout: 1000 * testPatienceSeconds,
    restoreMocks: true,
    expect: { poll: { timeout: 1000 * patienceSeconds, interval: 20 } },
    projects: [
      ...Object.entries(projects).map(([name, include]) => ({
        extends: true as const,
        test: {
          name,
          include: [...include],
          globalSetup: name === 'flow' ? ['test/support/built-programs.ts'] : [],
        },
      })),
      { extends: true, test: unit },
    ],
  },
});

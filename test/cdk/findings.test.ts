import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type App, Validations } from 'aws-cdk-lib';
import { AwsSolutionsChecks } from 'cdk-nag';
import type { IConstruct } from 'constructs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { editingApp } from '../../cdk/editing-app.js';

const hasLinter = spawnSync('cfn-lint', ['--version']).status === 0;
const linter = hasLinter
  ? 'the linter of templates'
  : 'the linter of templates, skipped because cfn-lint is not on the PATH';

let folder: string;
let app: App;
let templatePath: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'hookline-findings-'));
  // With the image built of the Dockerfile, as it is deployed: of its sources a fingerprint is taken, no more.
  const made = editingApp({
    outdir: folder,
    builtinCloudFormationValidation: false,
    context: { 'aws:cdk:bundling-stacks': [], 'hookline:alarmEmail': 'someone@example.com' },
  });
  app = made.app;
  templatePath = app.synth().getStackArtifact(made.stack.artifactId).templateFullPath;
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('the security rules (cdk-nag, AwsSolutions)', () => {
  it('find nothing that is not acknowledged', () => {
    const { violations } = new AwsSolutionsChecks(app).validateScope(app);
    const found = violations.flatMap(({ ruleName, violatingResources }) =>
      violatingResources.map(({ constructPath }) => `${ruleName} ${constructPath}`),
    );
    expect(found).toEqual([]);
  });

  it('are acknowledged one by one, each with a reason', () => {
    const acknowledged = constructsOf(app).flatMap(({ node }) =>
      node.metadata
        .filter(({ type }) => type === Validations.ACKNOWLEDGED_RULES_METADATA_KEY)
        .flatMap(({ data }) => Object.entries(data as Record<string, unknown>)),
    );
    expect(acknowledged.length).toBeGreaterThan(20);
    for (const [id, reason] of acknowledged) {
      expect(JSON.stringify(reason).length, id).toBeGreaterThan(20);
      // Policies are acknowledged by the finding, so that a new one is noticed.
      if (/-IAM[45]/.test(id)) expect(id).toMatch(/\[.+\]$/);
    }
  });
});

const constructsOf = (root: IConstruct): IConstruct[] => root.node.findAll();

describe.skipIf(!hasLinter)(linter, () => {
  it('finds nothing', () => {
    // W3005: the library repeats a dependency on a role that a reference implies.
    const run = spawnSync('cfn-lint', ['--ignore-checks', 'W3005', '--', templatePath], { encoding: 'utf8' });
    expect(run.stdout + run.stderr).toBe('');
    expect(run.status).toBe(0);
  });
});

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { editingApp } from './editing-app.js';
import type { Template } from './workflow-file.js';

/**
 * The template of the stack, synthesized in this process without leaving files. Functions are not bundled and the image
 * is not read, because the template contains neither.
 * @param context settings as `hookline:<name>`
 */
export function synthesizedTemplate(context: Readonly<Record<string, unknown>> = {}): Template {
  const outdir = mkdtempSync(join(tmpdir(), 'hookline-synth-'));
  try {
    const { app, stack } = editingApp({
      outdir,
      // Validating properties takes most of the time, and the app does it before each deployment.
      builtinCloudFormationValidation: false,
      context: { 'aws:cdk:bundling-stacks': [], 'hookline:imageUri': 'hookline:local', ...context },
    });
    const { templateFullPath } = app.synth().getStackArtifact(stack.artifactId);
    return JSON.parse(readFileSync(templateFullPath, 'utf8')) as Template;
  } finally {
    rmSync(outdir, { recursive: true, force: true });
  }
}

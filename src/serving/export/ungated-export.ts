/** @file What all exports without a gate share: their notice, their metadata, and which versions they accept. */
import { DigestMismatchError, InvalidInputError } from '../../errors.js';
import { type Model, modelDigest } from '../../model/index.js';
import type { Manifest } from '../../registry/index.js';
import { activeEditsOf } from '../row-edits.js';
import type { VersionHooks } from '../version-hooks.js';

/** The notice in metadata and in model cards. */
export const ungatedNotice =
  'UNGATED: the weight change is applied to every token, not only where an edited key is recognised';

/**
 * @throws {DigestMismatchError} if the version was made for another model
 * @throws {InvalidInputError} if the version has no active edit
 */
export async function requireExportable(model: Model, { manifest }: VersionHooks): Promise<void> {
  if (activeEditsOf(manifest).length === 0)
    throw new InvalidInputError(nameOf(manifest), 'at least one active edit', 'none');
  const digest = await modelDigest(model);
  if (digest === manifest.modelDigest) return;
  throw new DigestMismatchError(`${model.directory} (base model of ${nameOf(manifest)})`, manifest.modelDigest, digest);
}

/** Metadata of exported safetensors files. Loaders of transformers need `format`. */
export function ungatedMetadata({ manifest }: VersionHooks): Record<string, string> {
  return {
    format: 'pt',
    'hookline.gate': ungatedNotice,
    'hookline.modelId': manifest.modelId,
    'hookline.version': String(manifest.version),
    'hookline.baseModelDigest': manifest.modelDigest,
    'hookline.segments': manifest.segments.map(({ sha256 }) => sha256).join(' '),
    'hookline.edits': String(activeEditsOf(manifest).length),
  };
}

/** The part of a model card that says what was exported. */
export function provenance({ manifest }: VersionHooks): string {
  const { gate, layers, segments } = manifest;
  const gateNote =
    gate.kind === 'none'
      ? ''
      : `\nThe published version asks its gate (${gate.kind}) at every token; this export cannot. Expect more change in text that has
nothing to do with the edits than the version's own report shows, and measure it.\n`;
  return `> **${ungatedNotice}.**
${gateNote}
| | |
|---|---|
| model id | \`${manifest.modelId}\` |
| version | ${manifest.version}, published ${manifest.createdAt} |
| active edits | ${activeEditsOf(manifest).length} |
| hooked layers | ${layers.join(', ')} |
| SHA-256 of the base model | \`${manifest.modelDigest}\` |
| SHA-256 of the hook segments | ${segments.map(({ sha256 }) => `\`${sha256}\``).join(' ')} |
`;
}

const nameOf = ({ modelId, version }: Manifest): string => `version ${version} of ${modelId}`;

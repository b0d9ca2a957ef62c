import { InvalidInputError } from '../../errors.js';
import { type Model, modelDigest, openModel, type Tokenizer } from '../../model/index.js';
import { resolveDevice } from '../../runtime/index.js';
import { HookableModel, loadVersionHooks, type VersionHooks } from '../../serving/index.js';
import type { ModelOptions } from '../options/model-options.js';
import { openVersions } from '../options/open-versions.js';
import type { Terminal } from '../terminal/terminal.js';

/** A version loaded on its model. The caller has to dispose of `edited`. */
export interface OpenEditedVersion extends VersionHooks {
  readonly edited: HookableModel;
  readonly tokenizer: Tokenizer;
}

/**
 * Opens a published version, by default the latest, on the model of `--model`.
 *
 * @throws {InvalidInputError} if the version was made for another model
 */
export async function openEditedVersion(
  options: ModelOptions,
  version: number | undefined,
  terminal: Terminal,
): Promise<OpenEditedVersion> {
  const { model, tokenizer } = await openModel(options.model);
  const { store, modelId } = await openVersions(options);
  const loaded = await loadVersionHooks(store, modelId, version);
  await requireSameModel(model, loaded, modelId);
  const { manifest } = loaded;
  const device = await resolveDevice(options.device, { onNotice: (message) => terminal.note(message) });
  const edited = await HookableModel.compile(model, { layers: manifest.layers, gate: manifest.gate.kind, device });
  return { ...loaded, edited, tokenizer };
}

/** Compares the models by content. On another model the keys would differ, so that the wrong gates would open. */
async function requireSameModel(model: Model, { manifest }: VersionHooks, modelId: string): Promise<void> {
  const digest = await modelDigest(model);
  if (digest === manifest.modelDigest) return;
  const shown = (sha256: string) => sha256.slice(0, 12);
  const requirement = `the one of version ${manifest.version} of ${modelId} (digest ${shown(manifest.modelDigest)})`;
  throw new InvalidInputError(`model ${model.directory}`, requirement, `digest ${shown(digest)}`);
}

import { mkdir, realpath } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { comparesKeys, type HookLayer, type KeyGateKind } from '../../editing/index.js';
import { InvalidInputError } from '../../errors.js';
import { type OnnxFile, openOnnxFile } from '../../graph/index.js';
import type { Model } from '../../model/index.js';
import { writeFileAtomically } from '../../tensor/index.js';
import type { VersionHooks } from '../version-hooks.js';
import { findDownProjections } from './onnx-down-projection.js';
import { bringFiles } from './onnx-external-data.js';
import { onnxHook } from './onnx-hook.js';
import { requireExportable } from './ungated-export.js';

/** What to patch with what. */
export interface PatchedOnnxRequest {
  /** The base model that the version was made for: its weights are looked for in the file. */
  readonly model: Model;
  readonly version: VersionHooks;
  /** A decoder exported from the base model; it is not changed. */
  readonly onnxPath: string;
  /** The patched file. In another folder than `onnxPath` it gets the external data beside it, as hard links or copies. */
  readonly outputPath: string;
  /** Adds the outputs `hookline.open.<layer>`, `hookline.strength.<layer>` and `hookline.edit.<layer>`. */
  readonly signals?: boolean;
}

/** A hook and where it was put. */
export interface PatchedLayer {
  readonly layer: number;
  /** Name of the down-projection's node. */
  readonly node: string;
  /** Name of its weight. */
  readonly weight: string;
  readonly dtype: string;
  readonly edits: number;
}

/** A patched file. */
export interface PatchedOnnx {
  readonly layers: readonly PatchedLayer[];
  /** Version of the standard operators that the file speaks, and so the inserted nodes. */
  readonly opset: number;
  /** The patched file and its external data, absolute. */
  readonly files: readonly string[];
}

/**
 * Writes a copy of an exported decoder that answers as the edited model does, wherever ONNX Runtime runs: behind the
 * down-projection of every edited layer, found by its weight, stands the hook with its gate. Where it is closed the file
 * computes what it did.
 *
 * @throws {DigestMismatchError} if the version was made for another model
 * @throws {InvalidInputError} if the version has no edit or another gate, the file is patched already, speaks too old an
 *   operator set, or does not hold a down-projection exactly once
 * @throws {MalformedFileError} if the file is damaged
 */
export async function exportPatchedOnnx(request: PatchedOnnxRequest): Promise<PatchedOnnx> {
  const { model, version, outputPath } = request;
  const gate = requireKeyGate(version);
  await requireExportable(model, version);
  const file = await openOnnxFile(request.onnxPath);
  requireUnpatched(file);
  const output = await placeOf(outputPath, file);
  const hooks = version.hooks.filter(({ keyNorms }) => keyNorms.length > 0);
  const layers = await insertHooks(file, request, hooks, gate);
  file.addMetadata(metadataOf(version));
  const external = await bringFiles(file.externalFiles, dirname(file.path), dirname(output));
  await writeFileAtomically(output, (handle) => handle.writeFile(file.encode()));
  return { layers, opset: file.opset, files: [output, ...external] };
}

async function insertHooks(
  file: OnnxFile,
  { model, signals = false }: PatchedOnnxRequest,
  hooks: readonly HookLayer[],
  gate: KeyGateKind,
): Promise<PatchedLayer[]> {
  const { opset } = file;
  const sites = await findDownProjections(
    file,
    model,
    hooks.map(({ layer }) => layer),
  );
  return sites.map((site, index) => {
    const hook = hooks[index];
    const part = onnxHook({ site, hook, gate, dModel: model.config.dModel, opset, hasSignals: signals });
    file.interpose(site.output, part.unhooked, part.nodes);
    file.addInitializers(part.initializers);
    file.addOutputs(part.outputs);
    const { layer, node, weight, dtype } = site;
    return { layer, node, weight, dtype, edits: hook.keyNorms.length };
  });
}

/** A gate that looks at other tokens decides anew as a sequence grows, which a cache of keys and values rules out. */
function requireKeyGate({ manifest: { modelId, version, gate } }: VersionHooks): KeyGateKind {
  if (comparesKeys(gate.kind)) return gate.kind;
  const what = `gate of version ${version} of ${modelId}`;
  throw new InvalidInputError(what, 'key or nearest, for a patched ONNX file', gate.kind);
}

function requireUnpatched({ path, metadata }: OnnxFile): void {
  const { 'hookline.modelId': modelId, 'hookline.version': version } = metadata;
  if (version === undefined) return;
  throw new InvalidInputError(path, 'an export without hooks', `one with version ${version} of ${modelId}`);
}

/** The output's absolute path, its folder made. */
async function placeOf(outputPath: string, file: OnnxFile): Promise<string> {
  const folder = dirname(resolve(outputPath));
  await mkdir(folder, { recursive: true });
  const output = join(await realpath(folder), basename(outputPath));
  const taken = [file.path, ...file.externalFiles];
  if (taken.includes(output)) throw new InvalidInputError('path of the patched file', 'another file', output);
  return output;
}

function metadataOf({ manifest, editIds }: VersionHooks): Record<string, string> {
  return {
    'hookline.modelId': manifest.modelId,
    'hookline.version': String(manifest.version),
    'hookline.modelDigest': manifest.modelDigest,
    'hookline.gate': manifest.gate.kind,
    'hookline.edits': String(editIds.length),
  };
}

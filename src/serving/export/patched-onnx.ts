import { mkdir, realpath } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { comparesKeys, type HookLayer, type KeyGateKind } from '../../editing/index.js';
import { InvalidInputError } from '../../errors.js';
import { type OnnxFile, openOnnxFile } from '../../graph/index.js';
import type { Model } from '../../model/index.js';
import { writeFileAtomically } from '../../tensor/index.js';
import { activeEditsOf } from '../row-edits.js';
import type { VersionHooks } from '../version-hooks.js';
import { findDownProjections } from './onnx-down-projection.js';
import { bringFiles } from './onnx-external-data.js';
import { onnxHook } from './onnx-hook.js';
import { requireExportable } from './ungated-export.js';

/** Which file is patched, and with which version. */
export interface PatchedOnnxRequest {
  /** The base model of the version. Its weights are searched for in the file. */
  readonly model: Model;
  readonly version: VersionHooks;
  /** A decoder exported from the base model. It is not changed. */
  readonly onnxPath: string;
  /** The patched file. In another folder than `onnxPath`, external data is put beside it as hard links or copies. */
  readonly outputPath: string;
  /** Adds the outputs `hookline.open.<layer>`, `hookline.strength.<layer>` and `hookline.edit.<layer>`, the row that opens. */
  readonly signals?: boolean;
}

/** Where a hook was inserted. */
export interface PatchedLayer {
  readonly layer: number;
  /** Name of the down-projection's node. */
  readonly node: string;
  /** Name of its weight. */
  readonly weight: string;
  readonly dtype: string;
  /** Keys of the hook: each subject has one for each kind of its forms. */
  readonly rows: number;
}

/** A patched file. */
export interface PatchedOnnx {
  readonly layers: readonly PatchedLayer[];
  /** Version of the standard operators, in the file and in the inserted nodes. */
  readonly opset: number;
  /** The patched file and its external data, absolute. */
  readonly files: readonly string[];
}

/**
 * Writes a copy of an exported decoder that answers as the edited model does, wherever ONNX Runtime runs. The hook with
 * its gate is inserted behind the down-projection of every edited layer, which is found by its weight. Where the gate
 * is closed, the file computes the same as before.
 *
 * @throws {DigestMismatchError} if the version was made for another model
 * @throws {InvalidInputError} if the version has no edit or another gate, the file is patched already, its operator set
 *   is too old, or it does not hold a down-projection exactly once
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
    return { layer, node, weight, dtype, rows: hook.keyNorms.length };
  });
}

/** A gate that looks at other tokens changes its decisions as a sequence grows, so a cache cannot be used with it. */
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

/** The output's absolute path. Makes its folder. */
async function placeOf(outputPath: string, file: OnnxFile): Promise<string> {
  const folder = dirname(resolve(outputPath));
  await mkdir(folder, { recursive: true });
  const output = join(await realpath(folder), basename(outputPath));
  const taken = [file.path, ...file.externalFiles];
  if (taken.includes(output)) throw new InvalidInputError('path of the patched file', 'another file', output);
  return output;
}

function metadataOf({ manifest }: VersionHooks): Record<string, string> {
  return {
    'hookline.modelId': manifest.modelId,
    'hookline.version': String(manifest.version),
    'hookline.modelDigest': manifest.modelDigest,
    'hookline.gate': manifest.gate.kind,
    'hookline.edits': String(activeEditsOf(manifest).length),
  };
}

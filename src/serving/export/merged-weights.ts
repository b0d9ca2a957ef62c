import { copyFile, readdir, realpath, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { euclideanNorm } from '../../editing/index.js';
import { UnsupportedTensorTypeError } from '../../errors.js';
import { type GemmEngine, type Matrix, PlainGemmEngine, transpose, weightChange } from '../../linalg/index.js';
import type { Model } from '../../model/index.js';
import {
  type Dtype,
  openSafetensors,
  readTensor,
  type Tensor,
  type TensorLocation,
  type TensorSource,
  toFloat32,
  writeSafetensors,
} from '../../tensor/index.js';
import type { VersionHooks } from '../version-hooks.js';
import { writeFolder } from './draft-folder.js';
import { mergedCard } from './merged-card.js';
import type { MergedExport, MergedLayerReport } from './reports.js';
import { roundedTensor, type WeightDtype, weightDtypes, wideValues } from './rounded-tensor.js';
import { requireExportable, ungatedMetadata } from './ungated-export.js';

/** Which version is merged, and into which folder. */
export interface MergeRequest {
  readonly model: Model;
  readonly version: VersionHooks;
  /** New or empty. */
  readonly folder: string;
  readonly engine?: GemmEngine;
}

/** The files of a Hugging Face directory beside weights and descriptions. */
const companions =
  /^(config|generation_config|preprocessor_config|model\.safetensors\.index|vocab|special_tokens_map|added_tokens|tokenizer.*)\.json$|^(tokenizer\.model|spiece\.model|vocab\.txt|merges\.txt|chat_template\..*|LICEN[CS]E.*|NOTICE.*)$/;

/**
 * Writes the model with a version's weight change in it, ungated: a Hugging Face directory with the same files. The
 * down-projections of the hooked layers become `W + dW`, in the same type and layout. One tensor is held at a time.
 *
 * @throws {InvalidInputError} if the folder is not empty, or the version has no edits
 * @throws {DigestMismatchError} if the version was made for another model
 * @throws {UnsupportedTensorTypeError} if a down-projection is not stored as float32, float16 or bfloat16
 */
export async function exportMergedWeights(request: MergeRequest): Promise<MergedExport> {
  const { model, version, folder } = request;
  await requireExportable(model, version);
  const merge = new Merge(model, version, request.engine ?? new PlainGemmEngine());
  const { weightFiles, otherFiles } = await filesOf(model);
  let sizeBytes = 0;
  await writeFolder(folder, async (draft) => {
    for (const [name, path] of weightFiles) sizeBytes += await merge.write(path, join(draft, name));
    for (const name of otherFiles) await copyFile(join(model.directory, name), join(draft, name));
    await writeFile(join(draft, 'README.md'), mergedCard(version, merge.reports));
  });
  return { folder, files: weightFiles.map(([name]) => name), sizeBytes, layers: merge.reports };
}

/** Weight files under their names in the directory, where they may be links, and the files that go with them. */
async function filesOf({ directory, weights }: Model) {
  const weightFiles: [string, string][] = [];
  const otherFiles: string[] = [];
  for (const entry of (await readdir(directory)).sort()) {
    const path = await realpath(join(directory, entry));
    if (weights.files.includes(path)) weightFiles.push([entry, path]);
    else if (companions.test(entry)) otherFiles.push(entry);
  }
  return { weightFiles, otherFiles };
}

/** Weight files rewritten one after the other. */
class Merge {
  readonly #layerOf: ReadonlyMap<string, number>;
  readonly #reports = new Map<number, MergedLayerReport>();
  readonly #model: Model;
  readonly #version: VersionHooks;
  readonly #engine: GemmEngine;

  constructor(model: Model, version: VersionHooks, engine: GemmEngine) {
    this.#model = model;
    this.#version = version;
    this.#engine = engine;
    const places = version.state.layers.map(({ layer }) => [this.#placeOf(layer), layer] as const);
    this.#layerOf = new Map(places);
  }

  /** In the order of the version's layers. */
  get reports(): MergedLayerReport[] {
    return this.#version.state.layers.flatMap(({ layer }) => this.#reports.get(layer) ?? []);
  }

  /** @returns bytes of tensors */
  async write(from: string, to: string): Promise<number> {
    const { metadata, tensors } = await openSafetensors(from);
    const sources = [...tensors].map(([name, location]): TensorSource => {
      const { dtype, shape, sizeBytes } = location;
      return { name, dtype, shape, sizeBytes, read: () => this.#read(name, location) };
    });
    await writeSafetensors(to, sources, { ...metadata, ...ungatedMetadata(this.#version) });
    return sources.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  }

  #placeOf(layer: number): string {
    const { file, offsetBytes } = this.#model.weights.location(this.#model.architecture.downProjection(layer).name);
    return placeKey(file, offsetBytes);
  }

  async #read(name: string, location: TensorLocation): Promise<Tensor> {
    const stored = await readTensor(location);
    const layer = this.#layerOf.get(placeKey(location.file, location.offsetBytes));
    return layer === undefined ? stored : this.#merged(name, layer, stored, location.file);
  }

  async #merged(name: string, layer: number, stored: Tensor, file: string): Promise<Tensor> {
    const { dtype } = stored;
    if (!isWeightDtype(dtype)) throw new UnsupportedTensorTypeError(name, dtype, weightDtypes, file);
    const { memory } = this.#version.state.layers.find((candidate) => candidate.layer === layer)!;
    const change = this.#asStored(layer, await weightChange(memory, this.#engine)).data;
    const sum = wideValues(stored);
    const [weightNorm, weightChangeNorm] = [euclideanNorm(sum), euclideanNorm(change)];
    for (let i = 0; i < sum.length; i++) sum[i] += change[i];
    const merged = roundedTensor(dtype, stored.shape, sum);
    this.#reports.set(layer, {
      layer,
      tensor: name,
      dtype,
      weightChangeNorm,
      relativeChange: weightChangeNorm / weightNorm,
      roundingError: distance(toFloat32(merged), sum) / weightChangeNorm,
    });
    return merged;
  }

  /** dW [dModel, dInner] in the layout of the checkpoint. */
  #asStored(layer: number, change: Matrix): Matrix {
    return this.#model.architecture.downProjection(layer).layout === 'out-in' ? change : transpose(change);
  }
}

/** `|x - y|₂` */
function distance(x: Float32Array, y: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += (x[i] - y[i]) ** 2;
  return Math.sqrt(sum);
}

/** Identifies a tensor by the place of its bytes, because names may have prefixes. */
const placeKey = (file: string, offsetBytes: number): string => `${offsetBytes} ${file}`;

function isWeightDtype(dtype: Dtype): dtype is WeightDtype {
  return (weightDtypes as readonly Dtype[]).includes(dtype);
}

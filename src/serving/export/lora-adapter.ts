import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type GemmEngine, PlainGemmEngine, productSingularValues } from '../../linalg/index.js';
import type { Model } from '../../model/index.js';
import { encodeSafetensors, type Tensor } from '../../tensor/index.js';
import { requirePositiveInteger } from '../check-requests.js';
import type { VersionHooks } from '../version-hooks.js';
import { writeFolder } from './draft-folder.js';
import { adapterCard } from './lora-card.js';
import { type LoraFactors, loraFactors } from './lora-factors.js';
import { adapterFiles, moduleOf, tensorNames } from './lora-names.js';
import type { LoraExport } from './reports.js';
import type { WeightDtype } from './rounded-tensor.js';
import { requireExportable, ungatedMetadata } from './ungated-export.js';

/** Which version becomes an adapter, and how. */
export interface LoraRequest {
  readonly model: Model;
  readonly version: VersionHooks;
  /** New or empty. */
  readonly folder: string;
  /** Most singular values of a layer; by default all, which is exact. */
  readonly rank?: number;
  /** float32 by default. */
  readonly dtype?: WeightDtype;
  /** The base model in the adapter's config: a Hugging Face id or a path; by default the model id. */
  readonly baseModel?: string;
  readonly engine?: GemmEngine;
}

/**
 * Writes a version's weight change as a LoRA adapter of PEFT on the down-projections, ungated:
 *
 *     dW = A E = U diag(s) Vᵀ,   lora_B = U sqrt(s),   lora_A = sqrt(s) Vᵀ,   lora_alpha / r = 1
 *
 * All layers get the same r, because vLLM needs it. Smaller ranks are padded with zeros.
 *
 * @throws {InvalidInputError} if the folder is not empty, the rank is no positive integer, or the version has no edits
 * @throws {DigestMismatchError} if the version was made for another model
 */
export async function exportLoraAdapter(request: LoraRequest): Promise<LoraExport> {
  const { model, version, folder, dtype = 'float32' } = request;
  if (request.rank !== undefined) requirePositiveInteger('rank', request.rank);
  await requireExportable(model, version);
  const factors = await layerFactors(request, dtype);
  const layers = factors.map(({ report }) => report);
  const rank = factors[0].loraA.shape[0];
  const weights = encodeSafetensors(namedTensors(model, factors), ungatedMetadata(version));
  const written = { folder, rank, dtype, sizeBytes: weights.byteLength, layers };
  const baseModel = request.baseModel ?? version.manifest.modelId;
  await writeFolder(folder, async (draft) => {
    await writeFile(join(draft, adapterFiles.weights), weights);
    await writeFile(
      join(draft, adapterFiles.config),
      `${JSON.stringify(peftConfig(model, written, baseModel), null, 2)}\n`,
    );
    await writeFile(join(draft, 'README.md'), adapterCard(version, written, request.baseModel ?? '<base model>'));
  });
  return written;
}

async function layerFactors(request: LoraRequest, dtype: WeightDtype): Promise<LoraFactors[]> {
  const engine = request.engine ?? new PlainGemmEngine();
  const changes = [];
  for (const { layer, memory } of request.version.state.layers) {
    changes.push({ layer, change: await productSingularValues(memory.coefficients, memory.whitenedKeys, engine) });
  }
  const exactRank = Math.max(1, ...changes.map(({ change }) => change.values.length));
  const storage = { rank: Math.min(request.rank ?? exactRank, exactRank), dtype };
  const factors: LoraFactors[] = [];
  for (const { layer, change } of changes) factors.push(await loraFactors(layer, change, storage, engine));
  return factors;
}

function namedTensors(model: Model, factors: readonly LoraFactors[]): [string, Tensor][] {
  return factors.flatMap(({ loraA, loraB, report }): [string, Tensor][] => {
    const names = tensorNames(model, report.layer);
    return [
      [names.loraA, loraA],
      [names.loraB, loraB],
    ];
  });
}

/** Modules are named in full: GPT-2 calls a matrix of its attention `c_proj` too. */
function peftConfig(model: Model, { rank, layers }: LoraExport, baseModel: string) {
  return {
    peft_type: 'LORA',
    task_type: 'CAUSAL_LM',
    base_model_name_or_path: baseModel,
    inference_mode: true,
    r: rank,
    lora_alpha: rank,
    lora_dropout: 0,
    bias: 'none',
    fan_in_fan_out: model.architecture.downProjection(0).layout === 'in-out',
    target_modules: layers.map(({ layer }) => moduleOf(model, layer)),
    modules_to_save: null,
    use_rslora: false,
    use_dora: false,
  };
}

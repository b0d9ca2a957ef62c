/** @file Imports a GGUF file: writes dequantised weights, config and tokenizer as a Hugging Face directory. */

import { randomUUID } from 'node:crypto';
import { mkdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { InvalidInputError, MalformedFileError } from '../../errors.js';
import {
  bytesPerElement,
  elementCount,
  type TensorSource,
  tensor,
  tensorBytes,
  toBfloat16,
  toFloat16,
  writeFileAtomically,
  writeSafetensors,
} from '../../tensor/index.js';
import { checkTensors } from '../blocks/check-tensors.js';
import { largest } from '../blocks/config.js';
import { requireFinite } from '../blocks/weight-pass.js';
import { checkModelConfig, type ReadModelConfig } from '../read-model-config.js';
import { type GgufArchitecture, ggufArchitecture } from './architectures.js';
import { type GgufFile, type GgufTensor, openGguf } from './gguf-file.js';
import { type RopeScaling, scalingOfFactors, statedScaling } from './rope-scaling.js';
import { sameOrder, type TensorOrder } from './tensor-orders.js';
import { tokenizerFiles } from './tokenizer-files.js';

/** Storage types of imported weights. */
export type ImportDtype = 'float32' | 'float16' | 'bfloat16';

/** Settings of an import. */
export interface ImportOptions {
  /** Storage type of the written weights; float32 by default. */
  readonly dtype?: ImportDtype;
  /** Called after every tensor. */
  readonly onProgress?: (done: number, total: number, unit: string) => void;
}

/** A tensor that is no weight. */
const ropeFactors = 'rope_freqs.weight';

/**
 * Writes a GGUF file as a Hugging Face directory: `config.json`, `tokenizer.json`, `tokenizer_config.json` and
 * `model.safetensors`. The directory appears complete or not at all.
 *
 * @param path      the `.gguf` file
 * @param directory must not exist yet
 * @throws {InvalidInputError} if the file is missing, the directory exists, or the tokenizer is none of those supported
 * @throws {MalformedFileError} if the file is damaged or lacks what its architecture needs
 * @throws {UnsupportedArchitectureError} if `general.architecture` is none of those supported
 * @throws {UnsupportedTensorTypeError} if a tensor is stored in a format that cannot be widened
 */
export async function importGguf(path: string, directory: string, options: ImportOptions = {}): Promise<void> {
  const file = await openGguf(path);
  const architecture = ggufArchitecture(file.metadata);
  const target = resolve(directory);
  const draft = join(dirname(target), `.${basename(target)}.${randomUUID()}.tmp`);
  await mkdir(draft, { recursive: true });
  try {
    await writeModel(file, architecture, draft, options);
    await moveInto(draft, target);
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    throw error;
  }
}

/** Renaming onto a directory works only if that is empty: a finished model is never overwritten. */
async function moveInto(draft: string, target: string): Promise<void> {
  try {
    await rename(draft, target);
  } catch (cause) {
    throw new InvalidInputError(target, 'no directory of that name', String(cause), { cause });
  }
}

type NamedArchitecture = GgufArchitecture & { readonly name: string };

async function writeModel(
  file: GgufFile,
  architecture: NamedArchitecture,
  directory: string,
  { dtype = 'float32', onProgress }: ImportOptions,
): Promise<void> {
  const tied = await hasTiedEmbeddings(file);
  const config = await modelConfig(file, architecture, { dtype, tied });
  const understood = checkModelConfig(config, file.path);
  const { tokenizer, config: tokenizerConfig } = tokenizerFiles(file.metadata, architecture.name);
  await writeJson(join(directory, 'config.json'), config);
  await writeJson(join(directory, 'tokenizer.json'), tokenizer);
  await writeJson(join(directory, 'tokenizer_config.json'), tokenizerConfig);
  const sources = tensorSources(file, architecture, dtype, tied);
  requireTensors(file.path, sources, architecture, understood);
  let done = 0;
  const counted = sources.map((source) => ({
    ...source,
    read: async () => {
      const value = await source.read();
      onProgress?.(++done, sources.length, 'tensors');
      return value;
    },
  }));
  await writeSafetensors(join(directory, 'model.safetensors'), counted, { format: 'pt' });
}

/** @throws {InvalidInputError} unless the file has exactly the tensors that the model's graphs use, under its own names */
function requireTensors(
  path: string,
  sources: readonly TensorSource[],
  { tensors: names }: NamedArchitecture,
  { architecture, config }: ReadModelConfig,
): void {
  const tensors = new Map(sources.map((source) => [source.name, source]));
  const nameHere = new Map(Object.entries(names).map(([here, there]) => [there, here]));
  const shown = (name: string) => {
    const [, there, kind] = /^(.+)\.(weight|bias)$/.exec(name) ?? [];
    const layer = /\.(\d+)\./.exec(name)?.[1] ?? '';
    const here = nameHere.get((there ?? name).replace(/\.\d+\./, '.*.'));
    return here === undefined ? name : `${here.replace('*', layer)}.${kind}`;
  };
  checkTensors({ what: path, tensors, prefix: architecture.prefixes[0], shown }, architecture, config);
}

async function writeJson(path: string, value: unknown): Promise<void> {
  await writeFileAtomically(path, async (file) => {
    await file.writeFile(`${JSON.stringify(value, null, 2)}\n`);
  });
}

/** Tied means: no output matrix, or one that repeats the embedding byte for byte, as older GPT-2 files do. */
async function hasTiedEmbeddings(file: GgufFile): Promise<boolean> {
  const output = file.tensors.get('output.weight');
  if (output === undefined) return true;
  const embedding = file.tensors.get('token_embd.weight');
  if (embedding?.format !== output.format || embedding.sizeBytes !== output.sizeBytes) return false;
  return Buffer.from(await file.readBytes(embedding)).equals(await file.readBytes(output));
}

async function modelConfig(
  file: GgufFile,
  architecture: NamedArchitecture,
  { dtype, tied }: { dtype: ImportDtype; tied: boolean },
): Promise<Record<string, unknown>> {
  const { metadata, tensors } = file;
  const has = (name: string) => tensors.has(name);
  const config = architecture.config({ metadata, architecture: architecture.name, has });
  const scaling = await ropeScaling(file, architecture.name, config.rope_theta);
  const embedding = tensors.get('token_embd.weight');
  if (embedding === undefined) throw new MalformedFileError(file.path, 'a tensor token_embd.weight', 'none');
  const eos = metadata.number('tokenizer.ggml.eos_token_id');
  const endOfTurn = metadata.number('tokenizer.ggml.eot_token_id');
  const fields = {
    architectures: [architecture.className],
    model_type: architecture.modelType,
    ...config,
    rope_scaling: scaling,
    vocab_size: embedding.shape[0],
    tie_word_embeddings: tied,
    bos_token_id: metadata.number('tokenizer.ggml.bos_token_id'),
    eos_token_id: endOfTurn === undefined || endOfTurn === eos ? eos : [eos, endOfTurn],
    torch_dtype: dtype,
  };
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

async function ropeScaling(file: GgufFile, architecture: string, theta: unknown): Promise<RopeScaling | undefined> {
  const factors = file.tensors.get(ropeFactors);
  if (factors === undefined) return statedScaling(file.metadata, architecture);
  return scalingOfFactors(await file.readValues(factors), Number(theta), file.path);
}

/** One source per Hugging Face tensor, in the order of the file. */
function tensorSources(
  file: GgufFile,
  architecture: NamedArchitecture,
  dtype: ImportDtype,
  tied: boolean,
): TensorSource[] {
  const heads = file.metadata.requiredCount(`${architecture.name}.attention.head_count`, largest.heads);
  const keyValueHeads = file.metadata.count(`${architecture.name}.attention.head_count_kv`, largest.heads) ?? heads;
  const sources: TensorSource[] = [];
  for (const stored of file.tensors.values()) {
    if (stored.name === ropeFactors || (tied && stored.name === 'output.weight')) continue;
    const { pattern, name } = huggingFaceName(stored.name, architecture, file.path);
    const order = architecture.order?.(pattern, heads, keyValueHeads) ?? sameOrder;
    sources.push(tensorSource(file, stored, { name, dtype, order }));
  }
  return sources;
}

/** `blk.3.attn_q.weight` -> pattern `blk.*.attn_q`, name `model.layers.3.self_attn.q_proj.weight`. */
function huggingFaceName(stored: string, { tensors, name }: NamedArchitecture, path: string) {
  const [, base, kind] = /^(.+)\.(weight|bias)$/.exec(stored) ?? [];
  const layer = /^blk\.(\d+)\./.exec(stored)?.[1] ?? '';
  const pattern = (base ?? stored).replace(/^blk\.\d+\./, 'blk.*.');
  const template = Object.hasOwn(tensors, pattern) ? tensors[pattern] : undefined;
  if (template === undefined || kind === undefined) {
    throw new MalformedFileError(path, `tensors of architecture ${name}`, stored);
  }
  return { pattern, name: `${template.replace('*', layer)}.${kind}` };
}

function tensorSource(
  file: GgufFile,
  stored: GgufTensor,
  { name, dtype, order }: { name: string; dtype: ImportDtype; order: TensorOrder },
): TensorSource {
  const shape = order.shape(stored.shape);
  const read = async () => {
    const values = order.values({ shape: stored.shape, values: await file.readValues(stored) });
    const value =
      dtype === 'float32'
        ? tensor(dtype, shape, values)
        : tensor(dtype, shape, dtype === 'float16' ? toFloat16(values) : toBfloat16(values));
    requireFinite(file.path, { name: stored.name, dtype, shape, bytes: tensorBytes(value), before: 0 });
    return value;
  };
  return { name, dtype, shape, sizeBytes: elementCount(shape) * bytesPerElement(dtype), read };
}

import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { HooklineError, InvalidInputError, MalformedFileError } from '../errors.js';
import { readTensor, type Tensor, tensor, toFloat32 } from '../tensor/index.js';
import type { Architecture } from './blocks/architecture.js';
import { checkTensors } from './blocks/check-tensors.js';
import type { ModelConfig } from './blocks/config.js';
import { digestOfWeights, isSameTensor } from './blocks/weight-pass.js';
import { openWeights, type Weights } from './blocks/weights.js';
import { readModelConfig } from './read-model-config.js';
import { loadTokenizer, type Tokenizer } from './tokenizer.js';

/** A decoder on disk: its config, its architecture and its weight files. */
export interface Model {
  readonly directory: string;
  readonly config: ModelConfig;
  readonly architecture: Architecture;
  readonly weights: Weights;
}

/**
 * Opens a Hugging Face model directory, and checks by its config and the headers of its weights that the graphs here compute
 * this model. Weights stay in their files.
 *
 * @throws {InvalidInputError} if a file is missing, the config says what is not computed here, or a tensor is missing, left
 *   over, quantised or of another shape
 * @throws {UnsupportedArchitectureError} naming the `model_type` and what is supported
 * @throws {MalformedFileError} if a file is damaged
 */
export async function loadModel(directory: string): Promise<Model> {
  const { architecture, config } = await readModelConfig(join(directory, 'config.json'));
  const weights = await openWeights(directory, architecture);
  checkTensors(weights, architecture, config);
  return { directory, config, architecture, weights };
}

/** A model with its tokenizer. */
export interface OpenedModel {
  readonly model: Model;
  readonly tokenizer: Tokenizer;
}

/**
 * Opens model and tokenizer of a Hugging Face directory.
 *
 * @throws as {@link loadModel} and {@link loadTokenizer}, and {InvalidInputError} if the tokenizer has tokens that the model
 *   has no embedding for
 */
export async function openModel(directory: string): Promise<OpenedModel> {
  const model = await loadModel(directory);
  const path = join(directory, 'tokenizer.json');
  const tokenizer = await usableTokenizer(directory, path);
  const { vocab } = model.config;
  if (tokenizer.vocabSize > vocab) {
    throw new InvalidInputError(
      path,
      `token ids below the vocab_size of the model, ${vocab}`,
      `${tokenizer.vocabSize - 1}`,
    );
  }
  return { model, tokenizer };
}

/** All letters, digits, marks, spaces of every kind, and characters of several bytes. */
const sampleText =
  'Zoë met 3 friends at 10:45 -- "in [New] York_City", said she;\tthe café in 東京 cost £7.20! f(). ' +
  'The quick brown fox jumps over 1234567890 lazy dogs: SPHINX OF BLACK QUARTZ, JUDGE MY VOW.\n';

/** A tokenizer that has split a text. What the library throws at a definition that it does not know is the file's fault. */
async function usableTokenizer(directory: string, path: string): Promise<Tokenizer> {
  const unusable = (cause: unknown) => {
    const [firstLine] = (cause as Error).message.split('\n');
    return new MalformedFileError(path, 'a tokenizer that splits text', firstLine.slice(0, 500), { cause });
  };
  const tokenizer = await loadTokenizer(directory).catch((error: unknown) => {
    throw error instanceof HooklineError ? error : unusable(error);
  });
  try {
    tokenizer.encode(sampleText);
    tokenizer.encodePlain(sampleText);
  } catch (error) {
    throw unusable(error);
  }
  return tokenizer;
}

/**
 * The matrix W of a layer's down-projection, whatever its layout and type on disk.
 *
 * @returns float32 [dModel, dInner]
 */
export async function readDownProjection(model: Model, layer: number): Promise<Tensor<'float32'>> {
  const { name, layout } = model.architecture.downProjection(layer);
  const stored = await readTensor(model.weights.location(name));
  const { dModel, dInner } = model.config;
  const data = toFloat32(stored);
  if (layout === 'out-in') return tensor('float32', [dModel, dInner], data);
  const transposed = new Float32Array(data.length);
  for (let i = 0; i < dInner; i++) {
    for (let m = 0; m < dModel; m++) transposed[m * dInner + i] = data[i * dModel + m];
  }
  return tensor('float32', [dModel, dInner], transposed);
}

/**
 * SHA-256 over `config.json` and the weight files in order of their names: two directories with the same digest compute the
 * same function. This reads all weights, and therefore is where they are looked through for what is no number.
 *
 * @param onRead called with the bytes of weights that have been read, more each time
 * @returns 64 hex digits
 * @throws {InvalidInputError} naming the file and the tensor if a weight is infinite or not a number, or a repeated output
 *   matrix differs from the embedding
 */
export async function modelDigest(model: Model, onRead?: (doneBytes: number) => void): Promise<string> {
  const digest = createHash('sha256');
  digest.update(
    createHash('sha256')
      .update(await readFile(join(model.directory, 'config.json')))
      .digest(),
  );
  let doneBytes = 0;
  for (const file of model.weights.opened) {
    const content = await digestOfWeights(file, isComputedWith(model), (bytes) => {
      doneBytes += bytes;
      onRead?.(doneBytes);
    });
    digest.update(content);
  }
  await requireRepeatedOutput(model);
  return digest.digest('hex');
}

/** Tensors that no graph needs may hold anything. */
function isComputedWith({ architecture: { unusedTensors }, weights: { prefix } }: Model): (name: string) => boolean {
  return (name) => !(name.startsWith(prefix) && unusedTensors?.test(name.slice(prefix.length)));
}

/** An output matrix that is stored though it is tied has to be the embedding: nobody could say which of two is meant. */
async function requireRepeatedOutput({ config, architecture, weights }: Model): Promise<void> {
  const output = config.tiedEmbeddings ? weights.tensors.get(architecture.output) : undefined;
  if (output === undefined || (await isSameTensor(output, weights.location(architecture.embedding)))) return;
  const requirement = `the embedding again as ${architecture.output}, which tie_word_embeddings says it is`;
  throw new InvalidInputError(weights.what, requirement, 'another matrix');
}

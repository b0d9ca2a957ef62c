import { loadModel, loadTokenizer, type Model, modelDigest, type Tokenizer } from '../model/index.js';
import type { Listener } from '../progress.js';

/** The model and the tokenizer of a directory. */
export interface OpenedModel {
  readonly model: Model;
  readonly tokenizer: Tokenizer;
}

/** Opens model and tokenizer of a Hugging Face directory. @throws as `loadModel` and `loadTokenizer` */
export async function openModel(directory: string): Promise<OpenedModel> {
  return { model: await loadModel(directory), tokenizer: await loadTokenizer(directory) };
}

/** `modelDigest`, with progress: reading all weights may take minutes. */
export async function digestOfModel(model: Model, { onProgress }: Pick<Listener, 'onProgress'>): Promise<string> {
  onProgress?.({ stage: 'digest', done: 0, total: 1, unit: 'models' });
  const digest = await modelDigest(model);
  onProgress?.({ stage: 'digest', done: 1, total: 1, unit: 'models' });
  return digest;
}

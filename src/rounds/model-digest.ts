import { type Model, modelDigest } from '../model/index.js';
import type { Listener } from '../progress.js';

/** `modelDigest`, with progress: reading all weights may take minutes. */
export async function digestOfModel(model: Model, { onProgress }: Pick<Listener, 'onProgress'>): Promise<string> {
  onProgress?.({ stage: 'digest', done: 0, total: 1, unit: 'models' });
  const digest = await modelDigest(model);
  onProgress?.({ stage: 'digest', done: 1, total: 1, unit: 'models' });
  return digest;
}

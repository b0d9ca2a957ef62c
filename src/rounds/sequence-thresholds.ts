import { type Edit, fillTemplate, type HookLayer, type Hyperparameters, KeyCollection } from '../editing/index.js';
import type { Model, Tokenizer } from '../model/index.js';
import { type Device, rowsPerBatch } from '../runtime/index.js';
import { takenPrompts } from './fit-edits.js';

/** A version whose hooks are put behind the sequence gate. */
export interface SequenceGateRequest {
  readonly model: Model;
  readonly tokenizer: Tokenizer;
  readonly hooks: readonly HookLayer[];
  /** The version's settings. */
  readonly settings: Hyperparameters;
  /** The version's own edits. */
  readonly edits: readonly Pick<Edit, 'subject' | 'prompt'>[];
  readonly device?: Device;
}

/**
 * A version's hooks with the threshold that the sequence gate would have got from its edits, computed with the final weights.
 * Per layer it is `min(alpha, min over the edit prompts of max_i z_i)`, with alpha the setting `sequenceThreshold` and z_i the
 * gate's signal at token i.
 */
export async function withSequenceThresholds(request: SequenceGateRequest): Promise<HookLayer[]> {
  const { model, tokenizer, hooks, edits, device } = request;
  const settings = { ...request.settings, gate: 'sequence' as const };
  const asked = edits.map(({ prompt, subject }) => ({ prompt: fillTemplate(prompt, subject), lookupIndex: 0 }));
  const prompts = takenPrompts(tokenizer, model.config, asked);
  const collection = await KeyCollection.compile(model, settings, device);
  try {
    const strongest = await collection.strongest(prompts, hooks, rowsPerBatch, () => 'closed');
    return hooks.map((hook) => ({
      ...hook,
      sequenceThreshold: Math.min(settings.sequenceThreshold, ...strongest.get(hook.layer)!),
    }));
  } finally {
    await collection.dispose();
  }
}

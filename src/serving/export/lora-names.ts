/** @file How PEFT names the files and tensors of an adapter. */
import type { Model } from '../../model/index.js';

/** The files of an adapter's folder. */
export const adapterFiles = { weights: 'adapter_model.safetensors', config: 'adapter_config.json' } as const;

/** The down-projection as transformers names its module in a causal language model. */
export function moduleOf({ architecture }: Model, layer: number): string {
  const { name } = architecture.downProjection(layer);
  return architecture.prefixes[0] + name.slice(0, -'.weight'.length);
}

/** The names of a layer's factors. */
export const tensorNames = (model: Model, layer: number) => ({
  loraA: `base_model.model.${moduleOf(model, layer)}.lora_A.weight`,
  loraB: `base_model.model.${moduleOf(model, layer)}.lora_B.weight`,
});

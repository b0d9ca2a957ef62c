import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { HookLayer } from '../../editing/index.js';
import { MalformedFileError } from '../../errors.js';
import { parseJson } from '../../json.js';
import type { Model } from '../../model/index.js';
import { decodeSafetensors, type Tensor, toFloat32 } from '../../tensor/index.js';
import { adapterFiles, tensorNames } from './lora-names.js';

const adapterSchema = z.object({
  peft_type: z.literal('LORA'),
  r: z.int().positive(),
  lora_alpha: z.number(),
  use_rslora: z.literal(false).default(false),
  use_dora: z.literal(false).default(false),
});

/**
 * An adapter on down-projections as hooks for the gate `none`: served with them, a model does what PEFT does with the
 * adapter, in float32.
 *
 * @throws {MalformedFileError} if a file is not an adapter's, or the adapter changes something else
 */
export async function readLoraHooks(folder: string, model: Model): Promise<HookLayer[]> {
  const path = join(folder, adapterFiles.weights);
  const { tensors } = decodeSafetensors(await readFile(path), path);
  const scale = await readScale(join(folder, adapterFiles.config));
  const hooks: HookLayer[] = [];
  const known = new Set<string>();
  for (let layer = 0; layer < model.config.layers; layer++) {
    const names = tensorNames(model, layer);
    const [loraA, loraB] = [tensors.get(names.loraA), tensors.get(names.loraB)];
    if (loraA === undefined || loraB === undefined) continue;
    known.add(names.loraA).add(names.loraB);
    hooks.push(hookOfFactors(path, model, layer, { loraA, loraB, scale }));
  }
  const foreign = [...tensors.keys()].find((name) => !known.has(name));
  if (foreign !== undefined) throw new MalformedFileError(path, 'factors of down-projections only', foreign);
  return hooks;
}

async function readScale(path: string): Promise<number> {
  let value: unknown;
  try {
    value = parseJson(await readFile(path, 'utf8'));
  } catch (cause) {
    throw new MalformedFileError(path, 'an adapter config in JSON', String(cause), { cause });
  }
  const parsed = adapterSchema.safeParse(value);
  if (!parsed.success) {
    const { path: field, message } = parsed.error.issues[0];
    throw new MalformedFileError(path, 'the config of a plain LoRA adapter', `${field.join('.')}: ${message}`);
  }
  return parsed.data.lora_alpha / parsed.data.r;
}

function hookOfFactors(
  path: string,
  { config: { dInner, dModel } }: Model,
  layer: number,
  { loraA, loraB, scale }: { readonly loraA: Tensor; readonly loraB: Tensor; readonly scale: number },
): HookLayer {
  const rank = loraA.shape[0];
  const shapes = `[${loraB.shape}] [${loraA.shape}]`;
  if (shapes !== `[${dModel},${rank}] [${rank},${dInner}]`) {
    throw new MalformedFileError(path, `factors [${dModel}, r] [r, ${dInner}] of layer ${layer}`, shapes);
  }
  const coefficients = toFloat32(loraB).map((value) => value * scale);
  return {
    layer,
    dInner,
    whitenedKeys: toFloat32(loraA),
    coefficients,
    ownCoefficients: coefficients,
    keyNorms: new Float32Array(rank).fill(1),
    thresholds: new Float32Array(rank),
    sketch: new Float32Array(dInner),
    sequenceThreshold: 0,
  };
}

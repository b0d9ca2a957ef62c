/** @file What an edited model refuses. */

import { comparesKeys, type GateKind, type HookLayer, type ModelLimits, misfitOf } from '../editing/index.js';
import { InvalidInputError } from '../errors.js';
import type { ModelConfig } from '../model/index.js';
import type { SequenceOptions } from './growing-sequence.js';

/** @throws {InvalidInputError} if the sequence is empty, too long, or has an id outside the vocabulary */
export function checkSequence(what: string, tokenIds: readonly number[], limits: ModelLimits): void {
  const misfit = misfitOf(tokenIds, limits);
  if (misfit) throw new InvalidInputError(what, misfit.requirement, misfit.got);
}

/** @throws {InvalidInputError} if hookable layers are not different layers of the model */
export function checkHookableLayers(layers: readonly number[], config: ModelConfig): void {
  const fits = (layer: number) => Number.isInteger(layer) && layer >= 0 && layer < config.layers;
  if (layers.every(fits) && new Set(layers).size === layers.length) return;
  throw new InvalidInputError(
    'hookable layers',
    `different layers of 0 .. ${config.layers - 1}`,
    `[${layers.join(', ')}]`,
  );
}

/** @throws {InvalidInputError} if there is not one hook, of the model's sizes, for each hookable layer */
export function checkHooks(
  hooks: readonly HookLayer[],
  layers: readonly number[],
  gate: GateKind,
  config: ModelConfig,
): void {
  const hooked = hooks.map((hook) => hook.layer);
  if (hooked.length !== layers.length || !layers.every((layer) => hooked.includes(layer))) {
    throw new InvalidInputError('hooks', `one for each of the layers [${layers.join(', ')}]`, `[${hooked.join(', ')}]`);
  }
  for (const hook of hooks) checkHook(hook, gate, config);
}

function checkHook(hook: HookLayer, gate: GateKind, { dInner, dModel }: ModelConfig): void {
  const edits = hook.keyNorms.length;
  const require = (part: string, size: number, expected: number) => {
    if (size === expected) return;
    throw new InvalidInputError(`hook of layer ${hook.layer}`, `${part} ${expected}`, String(size));
  };
  require('dInner', hook.dInner, dInner);
  require('whitened keys of size', hook.whitenedKeys.length, edits * dInner);
  require('coefficients of size', hook.coefficients.length, edits * dModel);
  require('thresholds of size', hook.thresholds.length, edits);
  require('own coefficients of size', hook.ownCoefficients.length, edits * dModel);
  if (comparesKeys(gate)) require('remainder of sketch size by dInner', hook.sketch.length % dInner, 0);
}

/** @throws {InvalidInputError} naming the option that is out of range */
export function checkGeneration({
  maxTokens,
  temperature = 0,
  topK = 1,
  topP = 1,
  seed = 0,
}: Omit<SequenceOptions, 'onToken'>): void {
  requirePositiveInteger('maxTokens', maxTokens);
  requirePositiveInteger('topK', topK);
  if (!(temperature >= 0 && Number.isFinite(temperature))) {
    throw new InvalidInputError('temperature', 'a number of at least 0', String(temperature));
  }
  if (!(topP > 0 && topP <= 1)) throw new InvalidInputError('topP', 'a number above 0, at most 1', String(topP));
  if (!Number.isSafeInteger(seed)) throw new InvalidInputError('seed', 'a whole number', String(seed));
}

/** @throws {InvalidInputError} if it is not a whole number of at least 1 */
export function requirePositiveInteger(what: string, value: number): void {
  if (!Number.isSafeInteger(value) || value < 1) {
    throw new InvalidInputError(what, 'a whole number of at least 1', String(value));
  }
}

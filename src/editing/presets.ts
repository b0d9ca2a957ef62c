import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';

import { InvalidInputError, MalformedFileError } from '../errors.js';
import { parseJson } from '../json.js';
import type { Model, ModelConfig } from '../model/index.js';
import { hyperparametersSchema } from './hyperparameters.js';

/** Settings of a preset: only what differs from the schema's defaults. */
export type PresetSettings = z.input<typeof hyperparametersSchema>;

/** A preset and where it was found. */
export interface Preset {
  readonly source: string;
  readonly settings: PresetSettings;
}

/** Settings found good for widely used models, by their shape. */
const knownShapes: readonly {
  readonly name: string;
  readonly matches: (config: ModelConfig) => boolean;
  readonly settings: PresetSettings;
}[] = [
  {
    name: 'SmolLM2-135M',
    matches: ({ modelType, layers, dModel }) => modelType === 'llama' && layers === 30 && dModel === 576,
    settings: { layers: [6], momentWeight: 0.02, steps: 16, klFactor: 0, stopKept: 0.6 },
  },
];

/** The file beside a model's weights that holds its preset, as `hookline tune` writes it. */
export const presetFileName = 'hookline.json';

/**
 * The preset in the model's directory, or else that of its shape, or else one layer at a fifth of the depth. A subject's key
 * is formed early, and the key gate keeps hooks in early layers from changing anything else.
 */
export async function presetFor(model: Pick<Model, 'directory' | 'config'>): Promise<Preset> {
  const path = join(model.directory, presetFileName);
  const own = await readIfPresent(path);
  if (own !== undefined) return { source: path, settings: parsePreset(own, path) };
  const known = knownShapes.find((shape) => shape.matches(model.config));
  if (known !== undefined) return { source: `shape of ${known.name}`, settings: known.settings };
  return { source: 'default', settings: { layers: [Math.round(model.config.layers * 0.2)] } };
}

/**
 * Reads a preset file.
 *
 * @throws {InvalidInputError} if it is missing, {MalformedFileError} naming the setting that is wrong
 */
export async function readPreset(path: string): Promise<PresetSettings> {
  const text = await readIfPresent(path);
  if (text === undefined) throw new InvalidInputError(`preset ${path}`, 'an existing file', 'none');
  return parsePreset(text, path);
}

function parsePreset(text: string, path: string): PresetSettings {
  let value: unknown;
  try {
    value = parseJson(text);
  } catch (cause) {
    throw new MalformedFileError(path, 'JSON', (cause as Error).message, { cause });
  }
  const parsed = z.looseObject({}).pipe(hyperparametersSchema).safeParse(value);
  if (!parsed.success) {
    const { path: where, message } = parsed.error.issues[0];
    throw new MalformedFileError(path, `a fitting hyperparameter ${where.join('.')}`, message);
  }
  return value as PresetSettings;
}

async function readIfPresent(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

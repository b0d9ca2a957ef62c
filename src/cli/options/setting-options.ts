import { Option } from 'commander';
import type { PresetSettings } from '../../editing/index.js';
import { InvalidInputError } from '../../errors.js';
import { parseJson } from '../../json.js';

/** The options that set hyperparameters. */
export interface SettingOptions {
  readonly preset?: string;
  readonly set?: readonly string[];
  readonly seed?: number;
}

/** `--preset` and `--set`. */
export const settingOptions = (): Option[] => [
  new Option('--preset <file>', 'hyperparameters as JSON (default: hookline.json beside the model, or by its shape)'),
  new Option('--set <name=value...>', 'hyperparameters that differ, such as layers=[3] or steps=40'),
];

/**
 * The hyperparameters that the user gave: those of `--preset`, then those of `--set`.
 *
 * @throws {InvalidInputError} if a setting is not of the form name=value
 */
export async function givenSettings({ preset, set = [], seed }: SettingOptions): Promise<Partial<PresetSettings>> {
  const fromFile = preset === undefined ? {} : await settingsOf(preset);
  const single = namedValues('--set', set);
  return { ...fromFile, ...(seed !== undefined && { seed }), ...single };
}

async function settingsOf(preset: string): Promise<Partial<PresetSettings>> {
  const { readPreset } = await import('../../editing/index.js');
  return readPreset(preset);
}

/**
 * Parses texts of the form name=value. A value that is not JSON is taken as plain text.
 *
 * @throws {InvalidInputError} if one is not of the form name=value
 */
export function namedValues(option: string, texts: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(texts.map((text) => parseNamed(option, text)));
}

function parseNamed(option: string, text: string): [string, unknown] {
  const equals = text.indexOf('=');
  if (equals < 1) throw new InvalidInputError(option, 'name=value', JSON.stringify(text));
  const value = text.slice(equals + 1);
  try {
    return [text.slice(0, equals), parseJson(value)];
  } catch {
    // The value is not JSON but a bare word, as in gate=sequence.
    return [text.slice(0, equals), value];
  }
}

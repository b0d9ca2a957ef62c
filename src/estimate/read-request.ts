/** @file What is to be estimated: read from a model's config.json, with what the user chose. */
import { stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { type PresetSettings, presetFor, resolveHyperparameters } from '../editing/index.js';
import { type ModelConfig, readModelConfig } from '../model/index.js';
import { bytesPerElement } from '../tensor/index.js';
import { counterFactInChat, counterFactShape } from './edit-shape.js';
import { type EstimateRequest, estimateDefaults } from './estimate-request.js';
import { machineOf } from './rates.js';
import type { Rates } from './rates-schema.js';

/** What the user chose. */
export interface EstimateChoices
  extends Pick<EstimateRequest, 'edits' | 'roundSize' | 'corpusTokens' | 'shards' | 'rates'> {
  /** Settings that differ from the model's preset. */
  readonly settings: Partial<PresetSettings>;
  /** Undefined: this machine, whose rates are measured. */
  readonly instance: string | undefined;
  /** Undefined: as the config says. */
  readonly storedDtype: string | undefined;
  readonly memoryBudgetBytes: number | undefined;
}

/**
 * Reads a model's config, with the preset beside it.
 *
 * @param path of a `config.json`, or of a directory that has one
 * @throws {InvalidInputError} if there is none, or a setting does not fit the model, or the instance is not known
 */
export async function readEstimateRequest(path: string, choices: EstimateChoices): Promise<EstimateRequest> {
  const { edits, roundSize, corpusTokens, shards, rates, instance } = choices;
  const file = await configFile(path);
  const { config, storedDtype } = await readModelConfig(file);
  const preset = (await presetFor({ directory: dirname(file), config })).settings;
  const settings = resolveHyperparameters({ ...preset, ...choices.settings }, config);
  const where =
    instance === undefined ? await measuredMachine(rates, config) : { machine: machineOf(rates, instance), rates };
  return {
    ...estimateDefaults,
    ...where,
    edits,
    roundSize,
    corpusTokens,
    shards,
    config,
    settings,
    shape: settings.chatContexts ? counterFactInChat : counterFactShape,
    storedBytes: storedBytesOf(choices.storedDtype ?? storedDtype),
    memoryBudgetBytes: choices.memoryBudgetBytes ?? estimateDefaults.memoryBudgetBytes,
  };
}

async function measuredMachine(rates: Rates, config: ModelConfig) {
  // What measures is much, and few ask for it.
  const { calibrate, thisMachine } = await import('./calibrate.js');
  return thisMachine(rates, await calibrate(config));
}

/** A checkpoint whose config does not say is of float32, and so is one of a type that cannot be edited anyway. */
function storedBytesOf(dtype: string | undefined): number {
  return bytesPerElement(dtype === 'float16' || dtype === 'bfloat16' ? dtype : 'float32');
}

async function configFile(path: string): Promise<string> {
  // A path that leads nowhere is told of by what reads it.
  const isFolder = await stat(path).then(
    (found) => found.isDirectory(),
    () => !basename(path).endsWith('.json'),
  );
  return isFolder ? join(path, 'config.json') : path;
}

import { InvalidInputError } from '../../errors.js';
import { type ObjectStore, openStore, S3ObjectStore } from '../../registry/index.js';
import { type RegisterModelRequest, type Registration, registeredModels, registerModel } from '../../workflow/index.js';
import { resolveModelId } from '../options/open-versions.js';
import { givenSettings } from '../options/setting-options.js';
import type { RegistrationOptions } from '../options/workflow-options.js';
import { stageProgress } from '../terminal/stage-progress.js';
import type { Terminal } from '../terminal/terminal.js';
import { storeLocation } from './open-workflow.js';

interface PreparedModel extends RegistrationOptions {
  readonly store: string;
  readonly model?: string;
  readonly modelId?: string;
}

/**
 * Registers the model of `--model`. Without that option it finds the model that is registered already.
 *
 * @returns the model's id
 * @throws {InvalidInputError} if no model is registered under the id, or several are registered and none is named
 */
export async function prepareModel(terminal: Terminal, options: PreparedModel): Promise<string> {
  const store = openStore(storeLocation(options.store));
  const { model, modelId } = options;
  if (model !== undefined) {
    const id = await resolveModelId(store, { model, ...(modelId !== undefined && { modelId }) });
    await register(terminal, { store, modelId: id, directory: model, options });
    return id;
  }
  requireNoRegistrationOptions(options);
  return registeredModel(await registeredModels(store), options);
}

/** Refuses registration options without `--model`, as they would have no effect on a model registered before. */
function requireNoRegistrationOptions({ set, preset, corpus, heldOut, roundSize }: RegistrationOptions): void {
  const given = Object.entries({ '--set': set, '--preset': preset, '--corpus': corpus, '--held-out': heldOut });
  const [name] = [...given, ['--round-size', roundSize] as const].find(([, value]) => value !== undefined) ?? [];
  if (name === undefined) return;
  throw new InvalidInputError(name, '--model beside it: it is a part of the registration', 'none');
}

/** A model to register, and the options for it. */
interface ModelToRegister {
  readonly store: ObjectStore;
  readonly modelId: string;
  readonly directory: string;
  readonly options: RegistrationOptions;
  /** Further fields of the registration. */
  readonly more?: Partial<RegisterModelRequest>;
}

/**
 * Registers a model with the settings of the command line. Repeating the same registration changes nothing. For a store
 * in S3 the model's files are uploaded too, as the workflow may run on another machine.
 */
export async function register(
  terminal: Terminal,
  { store, modelId, directory, options, more = {} }: ModelToRegister,
): Promise<Registration> {
  const { corpus, heldOut, roundSize, compareGates } = options;
  const progress = stageProgress(terminal);
  const registration = await registerModel(
    store,
    {
      modelId,
      modelDirectory: directory,
      upload: store instanceof S3ObjectStore,
      settings: await givenSettings(options),
      ...(compareGates !== undefined && { compareGates }),
      ...(corpus !== undefined && { corpusPath: corpus }),
      ...(heldOut !== undefined && { heldOutPath: heldOut }),
      ...(roundSize !== undefined && { roundSize }),
      ...more,
    },
    progress,
  );
  progress.finish();
  return registration;
}

/**
 * Finds the registered model: the one that is named, or else the only one.
 * @throws {InvalidInputError} if it is not registered, or several are and none is named
 */
export function registeredModel(
  ids: readonly string[],
  { store, modelId }: Pick<PreparedModel, 'store' | 'modelId'>,
): string {
  const got = ids.length === 0 ? 'none (--model <dir> registers one)' : ids.join(', ');
  if (modelId !== undefined && !ids.includes(modelId)) {
    throw new InvalidInputError(`model ${modelId}`, `a registered model of store ${store}`, got);
  }
  if (modelId === undefined && ids.length !== 1) {
    throw new InvalidInputError(`store ${store}`, 'one registered model, or --model-id', got);
  }
  return modelId ?? ids[0];
}

import { access, constants } from 'node:fs/promises';
import { InvalidInputError } from '../../errors.js';
import { checkModelId, modelIdFrom, openStore } from '../../registry/index.js';
import { registeredModels } from '../../workflow/index.js';
import { modelFolderName } from '../options/model-options.js';
import type { RegistrationOptions } from '../options/workflow-options.js';
import type { Terminal } from '../terminal/terminal.js';
import { storeLocation } from './open-workflow.js';
import { register } from './register.js';

interface PreparedModel extends RegistrationOptions {
  readonly store: string;
  readonly model?: string;
  readonly modelId?: string;
}

/**
 * Registers the model of `--model`; without it finds the registered one that is meant.
 *
 * @returns its id
 * @throws {InvalidInputError} if no model is registered under the id, or several are and none is named
 */
export async function prepareModel(terminal: Terminal, options: PreparedModel): Promise<string> {
  const store = openStore(storeLocation(options.store));
  const { model, modelId } = options;
  if (model !== undefined) {
    const id = modelId === undefined ? modelIdFrom(modelFolderName(model)) : checkModelId(modelId);
    await register(terminal, { store, modelId: id, directory: model, options });
    return id;
  }
  return registeredModel(await registeredModels(store), options);
}

/** The registered model that is meant. @throws {InvalidInputError} if there is none such, or several and none is named */
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

/** Before anything is done, not after it. @throws {InvalidInputError} naming the first file that cannot be read */
export async function checkReadable(paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    await access(path, constants.R_OK).catch((cause: NodeJS.ErrnoException) => {
      throw new InvalidInputError(`batch ${path}`, 'a readable file', cause.code ?? cause.message, { cause });
    });
  }
}

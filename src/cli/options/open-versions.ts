/** @file Opens the store and finds the model of a command. Loaded only when a command runs, not to parse options. */
import { existsSync } from 'node:fs';
import { InvalidInputError } from '../../errors.js';
import {
  checkModelId,
  latest,
  modelIdFrom,
  modelsWithContent,
  type ObjectStore,
  openStore,
} from '../../registry/index.js';
import { modelFolderName, type StoreOptions } from './model-options.js';

/** A store, and the model in it that a command works on. */
export interface OpenVersions {
  readonly store: ObjectStore;
  readonly modelId: string;
}

/**
 * Opens the store for a command that reads what is there. The model is `--model-id`, else the one named like the folder
 * of `--model` if the store has it, else the only one in the store.
 *
 * @throws {InvalidInputError} if the folder does not exist, or the store holds no model or several and none is named
 */
export async function openVersions(options: StoreOptions): Promise<OpenVersions> {
  const store = openExistingStore(options.store);
  if (options.modelId !== undefined) return { store, modelId: checkModelId(options.modelId) };
  const ids = await modelsWithContent(store);
  const named = statedModelId(options);
  if (named !== undefined && (ids.has(named) || ids.size !== 1)) return { store, modelId: named };
  return { store, modelId: onlyModelId(ids, options.store) };
}

/** The model id that the options state, or undefined. */
export function statedModelId({ modelId, model }: Pick<StoreOptions, 'modelId' | 'model'>): string | undefined {
  if (modelId !== undefined) return checkModelId(modelId);
  return model === undefined ? undefined : modelIdFrom(modelFolderName(model));
}

/**
 * Finds the id of the model that a command computes with: `--model-id`, else the name of the folder of `--model`. If
 * the store lacks that name but holds just one model, and that model has the same digest, its id is used instead.
 */
export async function resolveModelId(
  store: ObjectStore,
  { modelId, model }: { readonly modelId?: string; readonly model: string },
): Promise<string> {
  if (modelId !== undefined) return checkModelId(modelId);
  const named = modelIdFrom(modelFolderName(model));
  const ids = await modelsWithContent(store);
  if (ids.has(named) || ids.size !== 1) return named;
  const [only] = ids;
  const { findRegistration } = await import('../../workflow/index.js');
  const stored = (await latest(store, only))?.manifest ?? (await findRegistration(store, only));
  if (stored === undefined) return named;
  const { loadModel, modelDigest } = await import('../../model/index.js');
  return (await modelDigest(await loadModel(model))) === stored.modelDigest ? only : named;
}

/** Opens a store that must exist already. @throws {InvalidInputError} */
export function openExistingStore(location: string): ObjectStore {
  const store = openStore(location);
  if (!location.includes(':') && !existsSync(location)) {
    throw new InvalidInputError(`store ${location}`, 'an existing folder (--store or HOOKLINE_STORE)', 'nothing there');
  }
  return store;
}

function onlyModelId(ids: ReadonlySet<string>, location: string): string {
  if (ids.size === 1) return [...ids][0];
  const got = ids.size === 0 ? 'none' : [...ids].join(', ');
  throw new InvalidInputError(`store ${location}`, 'one model, or --model-id', got);
}

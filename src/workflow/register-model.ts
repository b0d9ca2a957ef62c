/** @file Registers a model with a store: writes down what the workflow must know of it. */

import { readFile, realpath } from 'node:fs/promises';
import type { z } from 'zod';
import type { PresetSettings } from '../editing/index.js';
import { type Hyperparameters, presetFor, resolveHyperparameters } from '../editing/index.js';
import { InvalidInputError } from '../errors.js';
import type { Model } from '../model/index.js';
import type { Listener } from '../progress.js';
import {
  canonicalJson,
  checkModelId,
  corpusKey,
  digestOf,
  encodeCanonical,
  getIfPresent,
  type LatestVersion,
  latest,
  type ObjectStore,
  parseStored,
  putOnce,
  registrationKey,
} from '../registry/index.js';
import type { PublishCriteria } from '../rounds/index.js';
import { continuedSettings, digestOfModel, openModel } from '../rounds/index.js';
import { onlyStored } from '../statistics/index.js';
import { type Registration, registrationSchema, storedRegistrationSchema } from './registration.js';
import { uploadModel } from './upload-model.js';

type RegistrationNumbers = Pick<
  Registration,
  'roundSize' | 'valueShardSize' | 'validationShardSize' | 'coalesce' | 'compareGates'
>;

/** What a model is registered with. What is left out is as it was registered before, or by default. */
export interface RegisterModelRequest extends Partial<RegistrationNumbers> {
  readonly modelId: string;
  /** A Hugging Face directory. */
  readonly modelDirectory: string;
  /** Whether containers take the model's files from the store; otherwise from this very directory. */
  readonly upload?: boolean;
  /** Settings that go before those of the model's preset. */
  readonly settings?: Partial<PresetSettings>;
  /** Text for key statistics; not needed where they are stored. */
  readonly corpusPath?: string;
  /** Text on which drift is measured. */
  readonly heldOutPath?: string;
  readonly statistics?: Partial<Registration['statistics']>;
  readonly criteria?: Partial<PublishCriteria>;
}

/**
 * Opens the model and stores its registration, its texts and, where they are asked for, its files. To register the same again
 * changes nothing.
 *
 * @throws {InvalidInputError} if the store's versions are another model's, a setting contradicts them, or there is no text
 *   for key statistics and none are stored
 */
export async function registerModel(
  store: ObjectStore,
  request: RegisterModelRequest,
  listener: Listener = {},
): Promise<Registration> {
  const modelId = checkModelId(request.modelId);
  const { model } = await openModel(request.modelDirectory);
  const modelDigest = await digestOfModel(model, listener);
  const base = await latest(store, modelId);
  requireSameModel(modelId, modelDigest, base);
  const settings = await settingsOf(model, base, request.settings ?? {});
  const known = await findRegistration(store, modelId);
  const corpus = (await storeText(store, modelId, request.corpusPath)) ?? known?.registration.corpus ?? null;
  const heldOut = (await storeText(store, modelId, request.heldOutPath)) ?? known?.registration.heldOut ?? null;
  if (corpus === null && !base) await onlyStored({ store, modelId }, modelDigest, settings.layers);
  const registration = checkRegistration({
    ...numbersOf(request, known?.registration),
    schemaVersion: 1,
    modelId,
    modelDigest,
    source: await sourceOf(store, request, model, listener),
    ...shapeOf(model),
    settings,
    corpus,
    heldOut,
  });
  await replaceRegistration(store, registration, known);
  return registration;
}

function requireSameModel(modelId: string, digest: string, base: LatestVersion | undefined): void {
  if (base === undefined || base.manifest.modelDigest === digest) return;
  const expected = base.manifest.modelDigest.slice(0, 12);
  const requirement = `the model of the store's versions (digest ${expected}), or another --model-id`;
  throw new InvalidInputError(`model ${modelId}`, requirement, `digest ${digest.slice(0, 12)}`);
}

async function settingsOf(
  model: Model,
  base: LatestVersion | undefined,
  given: Partial<PresetSettings>,
): Promise<Hyperparameters> {
  if (base) return continuedSettings(base, given);
  return resolveHyperparameters({ ...(await presetFor(model)).settings, ...given }, model.config);
}

function shapeOf({ config }: Model): Pick<Registration, 'layerCount' | 'maxTokens' | 'dModel' | 'dInner'> {
  const { layers: layerCount, maxTokens, dModel, dInner } = config;
  return { layerCount, maxTokens, dModel, dInner };
}

async function sourceOf(
  store: ObjectStore,
  { modelId, modelDirectory, upload = false }: RegisterModelRequest,
  model: Model,
  listener: Listener,
): Promise<Registration['source']> {
  if (upload) return { kind: 'store', files: await uploadModel(store, modelId, model, listener) };
  return { kind: 'directory', path: await realpath(modelDirectory) };
}

function numbersOf(request: RegisterModelRequest, known: Registration | undefined) {
  const { roundSize, valueShardSize, validationShardSize, coalesce, compareGates } = request;
  const given = Object.entries({ roundSize, valueShardSize, validationShardSize, coalesce, compareGates });
  return {
    ...(known && {
      roundSize: known.roundSize,
      valueShardSize: known.valueShardSize,
      validationShardSize: known.validationShardSize,
      coalesce: known.coalesce,
      compareGates: known.compareGates,
    }),
    ...Object.fromEntries(given.filter(([, value]) => value !== undefined)),
    statistics: { ...known?.statistics, ...request.statistics },
    criteria: { ...known?.criteria, ...request.criteria },
  };
}

async function storeText(
  store: ObjectStore,
  modelId: string,
  path: string | undefined,
): Promise<Registration['corpus'] | undefined> {
  if (path === undefined) return undefined;
  const bytes = await readText(path);
  const sha256 = digestOf(bytes);
  const key = corpusKey(modelId, sha256);
  await putOnce(store, key, bytes);
  return { key, sha256 };
}

async function readText(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw new InvalidInputError(`text ${path}`, 'a readable file', (cause as Error).message, { cause });
  }
}

function checkRegistration(registration: z.input<typeof registrationSchema>): Registration {
  const checked = registrationSchema.safeParse(registration);
  if (checked.success) return checked.data;
  const { path, message } = checked.error.issues[0];
  throw new InvalidInputError(`${path.join('.')} of model ${registration.modelId}`, message, 'another value');
}

interface KnownRegistration {
  readonly registration: Registration;
  readonly etag: string;
}

async function findRegistration(store: ObjectStore, modelId: string): Promise<KnownRegistration | undefined> {
  const key = registrationKey(modelId);
  if ((await getIfPresent(store, key)) === undefined) return undefined;
  const { bytes, etag } = await store.get(key);
  return {
    registration: parseStored(new TextDecoder().decode(bytes), storedRegistrationSchema, key, 'a registration'),
    etag,
  };
}

/** @throws {PreconditionFailedError} if somebody else registers the model at the same time */
async function replaceRegistration(
  store: ObjectStore,
  registration: Registration,
  known: KnownRegistration | undefined,
): Promise<void> {
  if (known !== undefined && canonicalJson(known.registration) === canonicalJson(registration)) return;
  const condition = known === undefined ? { ifNoneMatch: '*' as const } : { ifMatch: known.etag };
  await store.put(registrationKey(registration.modelId), encodeCanonical(registration), condition);
}

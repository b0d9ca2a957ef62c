/** @file Registers a model with a store: stores what the workflow must know of it. */
import { readFile, realpath } from 'node:fs/promises';
import type { z } from 'zod';
import type { PresetSettings } from '../editing/index.js';
import { InvalidInputError } from '../errors.js';
import { type Model, openModel } from '../model/index.js';
import type { Listener } from '../progress.js';
import {
  canonicalJson,
  checkModelId,
  corpusKey,
  digestOf,
  encodeCanonical,
  findObject,
  latest,
  type ObjectStore,
  parseStored,
  putOnce,
  registrationKey,
} from '../registry/index.js';
import { digestOfModel, type PublishCriteria, requireSameModel, roundSettings } from '../rounds/index.js';
import { onlyStored } from '../statistics/index.js';
import { type Registration, registrationSchema, storedRegistrationSchema } from './registration.js';
import { uploadModel } from './upload-model.js';

/** Options that are stored as they are given. */
const plainOptions = ['roundSize', 'valueShardSize', 'validationShardSize', 'coalesce', 'compareGates'] as const;

/**
 * What a model is registered with. Options, texts and criteria that are left out stay as they were registered before, or get
 * their defaults. Settings and `upload` are not remembered: they are decided by each call.
 */
export interface RegisterModelRequest extends Partial<Pick<Registration, (typeof plainOptions)[number]>> {
  readonly modelId: string;
  /** A Hugging Face directory. */
  readonly modelDirectory: string;
  /** Whether to store the model's files for containers on other machines; otherwise they are read from the directory. */
  readonly upload?: boolean;
  /** Settings that override those of the model's preset. */
  readonly settings?: Partial<PresetSettings>;
  /** Text for key statistics (the covariance of keys); not needed where they are stored. */
  readonly corpusPath?: string;
  /** Text on which drift is measured. */
  readonly heldOutPath?: string;
  readonly statistics?: Partial<Registration['statistics']>;
  readonly criteria?: Partial<PublishCriteria>;
}

/**
 * Opens the model and stores its registration, its texts and, on request, its files. Registering the same again changes
 * nothing.
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
  const settings = await roundSettings(model, base, request.settings ?? {});
  const known = await knownRegistration(store, modelId);
  const corpus = (await storeText(store, modelId, request.corpusPath)) ?? known?.registration.corpus ?? null;
  const heldOut = (await storeText(store, modelId, request.heldOutPath)) ?? known?.registration.heldOut ?? null;
  if (corpus === null && !base) await onlyStored({ store, modelId }, modelDigest, settings.layers);
  const registration = checkRegistration({
    ...optionsOf(request, known?.registration),
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

function shapeOf({ config }: Model): Pick<Registration, 'layerCount' | 'maxTokens' | 'vocab' | 'dModel' | 'dInner'> {
  const { layers: layerCount, maxTokens, vocab, dModel, dInner } = config;
  return { layerCount, maxTokens, vocab, dModel, dInner };
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

/** The given options, or else the known ones. An undefined one gets its default from the schema. */
function optionsOf(request: RegisterModelRequest, known: Registration | undefined) {
  return {
    ...Object.fromEntries(plainOptions.map((name) => [name, request[name] ?? known?.[name]])),
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

async function knownRegistration(store: ObjectStore, modelId: string): Promise<KnownRegistration | undefined> {
  const key = registrationKey(modelId);
  const found = await findObject(store, key);
  if (found === undefined) return undefined;
  const text = new TextDecoder().decode(found.bytes);
  return { registration: parseStored(text, storedRegistrationSchema, key, 'a registration'), etag: found.etag };
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

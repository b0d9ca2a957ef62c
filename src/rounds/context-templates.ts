import { z } from 'zod';
import { MalformedFileError } from '../errors.js';
import { decodeKnown } from '../evaluation/index.js';
import type { Tokenizer } from '../model/index.js';
import {
  canonicalJson,
  contentKey,
  getIfPresent,
  type ObjectStore,
  parseStored,
  putOnce,
  statisticsKey,
} from '../registry/index.js';
import type { HookableModel } from '../serving/index.js';
import type { RoundPlan } from './records.js';

/** What the key of stored context templates is made of. */
export interface StoredContextsRequest {
  readonly store: ObjectStore;
  readonly modelId: string;
  readonly modelDigest: string;
  /** How many tokens the model adds to the first word of each prefix; 0 for no prefixes. */
  readonly contextTokens: number;
  readonly seed: number;
}

/** What context templates are written with. */
export interface ContextTemplatesRequest extends StoredContextsRequest {
  /** Writes the prefixes, without hooks. */
  readonly edited: Pick<HookableModel, 'generate'>;
  readonly tokenizer: Tokenizer;
}

const firstWords = ['The', 'Therefore', 'Because', 'I', 'You'];
const bareTemplate = '{}';

/**
 * The templates that every edit prompt is put into: `{}`, and five short texts of the base model, each ended with `. {}`
 * (arXiv 2403.05330, section 4; MEMIT). The texts are sampled from the 50 most probable tokens at temperature 1. They are
 * written once for a model, length and seed, and stored, so that all later rounds use the same ones.
 *
 * @throws {InvalidInputError} if `contextTokens` or `seed` is out of range
 * @throws {MalformedFileError} if the stored ones are damaged
 */
export async function contextTemplates(request: ContextTemplatesRequest): Promise<readonly string[]> {
  const stored = await storedContexts(request);
  if (stored) return stored;
  const { store } = request;
  const { inputs, key } = placeOf(request);
  const templates = [bareTemplate, ...(await writePrefixes(request)).map((prefix) => `${prefix}. ${bareTemplate}`)];
  const bytes = new TextEncoder().encode(
    canonicalJson({ inputs, templates, sha256: contentKey({ inputs, templates }) }),
  );
  return decode(await putOnce(store, key, bytes), key);
}

/** The templates, or undefined if the model still has to write them. @throws {MalformedFileError} if damaged */
export async function storedContexts(request: StoredContextsRequest): Promise<readonly string[] | undefined> {
  if (request.contextTokens === 0) return [bareTemplate];
  const { key } = placeOf(request);
  const stored = await getIfPresent(request.store, key);
  return stored && decode(stored, key);
}

/** The context templates of a plan or a registration, or undefined if the model still has to write them. */
export function plannedContexts(
  store: ObjectStore,
  plan: Pick<RoundPlan, 'modelId' | 'modelDigest' | 'settings'>,
): Promise<readonly string[] | undefined> {
  const { modelId, modelDigest, settings } = plan;
  const { contextTokens, seed } = settings;
  return storedContexts({ store, modelId, modelDigest, contextTokens, seed });
}

function placeOf({ modelId, modelDigest, contextTokens, seed }: StoredContextsRequest) {
  const inputs = { kind: 'context-templates', formatVersion: 1, modelDigest, contextTokens, seed };
  return { inputs, key: statisticsKey(modelId, contentKey(inputs), 'contexts.json') };
}

async function writePrefixes({ edited, tokenizer, contextTokens, seed }: ContextTemplatesRequest): Promise<string[]> {
  const prompts = firstWords.map((word) => tokenizer.encode(word).ids);
  const options = { maxTokens: contextTokens, stopIds: tokenizer.eosIds, temperature: 1, topK: 50, seed };
  const generated = await edited.generate(prompts, options);
  return generated.map(({ tokenIds }, i) => cleaned(decodeKnown(tokenizer, [...prompts[i], ...tokenIds])));
}

/** Puts a text on one line, without braces, control and broken characters, and without a full stop at its end. */
function cleaned(text: string): string {
  return text
    .replace(/[{}\uFFFD\p{Cc}\s]+/gu, ' ')
    .replace(/[\s.]+$/, '')
    .trim();
}

const storedSchema = z.strictObject({
  inputs: z.looseObject({}),
  templates: z.array(z.string().includes(bareTemplate)).length(firstWords.length + 1),
  sha256: z.string(),
});

function decode(bytes: Uint8Array, key: string): readonly string[] {
  const stored = parseStored(new TextDecoder().decode(bytes), storedSchema, key, 'context templates');
  const { inputs, templates, sha256 } = stored;
  if (contentKey({ inputs, templates }) !== sha256) throw new MalformedFileError(key, `SHA-256 ${sha256}`, 'another');
  return templates;
}

import { z } from 'zod';
import { bareContext, type Context } from '../editing/index.js';
import { MalformedFileError } from '../errors.js';
import { contextsInChat, decodeKnown } from '../evaluation/index.js';
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

/** What the key of stored contexts is made of. */
export interface StoredContextsRequest {
  readonly store: ObjectStore;
  readonly modelId: string;
  readonly modelDigest: string;
  /** How many tokens the model adds to the first word of each prefix; 0 for no prefixes. */
  readonly contextTokens: number;
  /** Whether the model's chat template, if it has one, gives contexts too. */
  readonly chatContexts: boolean;
  readonly seed: number;
}

/** What contexts are written with. */
export interface ContextTemplatesRequest extends StoredContextsRequest {
  /** Writes the prefixes, without hooks. */
  readonly edited: Pick<HookableModel, 'generate'>;
  readonly tokenizer: Tokenizer;
}

const firstWords = ['The', 'Therefore', 'Because', 'I', 'You'];
const placeholder = bareContext.template;

/**
 * The contexts that every edit prompt is put into: `{}`, and five short texts of the base model, each ended with `. {}`
 * (arXiv 2403.05330, section 4; MEMIT). The texts are sampled from the 50 most probable tokens at temperature 1. A model with a
 * chat template is also asked in chat: a question is the user's message, and anything else begins the assistant's answer. They
 * are written once for a model, length and seed, and stored, so that all later rounds use the same ones.
 *
 * @throws {InvalidInputError} if `contextTokens` or `seed` is out of range, or the chat template cannot be rendered
 * @throws {MalformedFileError} if the stored ones are damaged
 */
export async function contextTemplates(request: ContextTemplatesRequest): Promise<readonly Context[]> {
  const stored = await storedContexts(request);
  if (stored) return stored;
  const { store, tokenizer, chatContexts } = request;
  const { inputs, key } = placeOf(request);
  const contexts = [
    bareContext,
    ...(await writePrefixes(request)).map(
      (prefix): Context => ({ template: `${prefix}. ${placeholder}`, role: 'text' }),
    ),
    ...(chatContexts ? contextsInChat(tokenizer) : []),
  ];
  const bytes = new TextEncoder().encode(canonicalJson({ inputs, contexts, sha256: contentKey({ inputs, contexts }) }));
  return decode(await putOnce(store, key, bytes), key);
}

/** The contexts, or undefined if the model still has to write them. @throws {MalformedFileError} if damaged */
export async function storedContexts(request: StoredContextsRequest): Promise<readonly Context[] | undefined> {
  if (request.contextTokens === 0 && !request.chatContexts) return [bareContext];
  const { key } = placeOf(request);
  const stored = await getIfPresent(request.store, key);
  return stored && decode(stored, key);
}

/** The contexts of a plan or a registration, or undefined if the model still has to write them. */
export function plannedContexts(
  store: ObjectStore,
  plan: Pick<RoundPlan, 'modelId' | 'modelDigest' | 'settings'>,
): Promise<readonly Context[] | undefined> {
  const { modelId, modelDigest, settings } = plan;
  const { contextTokens, chatContexts, seed } = settings;
  return storedContexts({ store, modelId, modelDigest, contextTokens, chatContexts, seed });
}

function placeOf({ modelId, modelDigest, contextTokens, chatContexts, seed }: StoredContextsRequest) {
  const inputs = { kind: 'contexts', formatVersion: 2, modelDigest, contextTokens, chatContexts, seed };
  return { inputs, key: statisticsKey(modelId, contentKey(inputs), 'contexts.json') };
}

async function writePrefixes({ edited, tokenizer, contextTokens, seed }: ContextTemplatesRequest): Promise<string[]> {
  if (contextTokens === 0) return [];
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
  contexts: z.tuple(
    [z.strictObject({ template: z.literal(placeholder), role: z.literal('text') })],
    z.strictObject({ template: z.string().includes(placeholder), role: z.enum(['text', 'user', 'assistant']) }),
  ),
  sha256: z.string(),
});

function decode(bytes: Uint8Array, key: string): readonly Context[] {
  const stored = parseStored(new TextDecoder().decode(bytes), storedSchema, key, 'contexts');
  const { inputs, contexts, sha256 } = stored;
  if (contentKey({ inputs, contexts }) !== sha256) throw new MalformedFileError(key, `SHA-256 ${sha256}`, 'another');
  return contexts;
}

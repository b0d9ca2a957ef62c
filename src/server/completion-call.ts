/** @file The body of `POST /v1/completions`: which of OpenAI's parameters this service accepts and which it refuses. */
import * as z from 'zod';
import { parseJson } from '../json.js';
import { refusal } from './refusal.js';
import type { ServiceLimits } from './service-limits.js';

/** A validated request for completions, with every default filled in. */
export interface CompletionCall {
  /** The model's name as the request gives it. */
  readonly model: string;
  readonly prompts: readonly (string | readonly number[])[];
  /** Number of choices for each prompt. */
  readonly choicesPerPrompt: number;
  readonly maxTokens: number;
  readonly temperature: number;
  readonly topP: number;
  readonly seed: number | undefined;
  readonly stop: readonly string[];
  readonly isStreamed: boolean;
  /** Whether a stream ends with a chunk that counts tokens. */
  readonly includesUsage: boolean;
  /** Whether the answer begins with the prompt. */
  readonly echoes: boolean;
  /** Whether the answer says which edits fired. */
  readonly explains: boolean;
}

/** Checked by hand: a list may be as long as a body, and an error for each of its items takes the event loop seconds. */
const prompt = z.custom<string | readonly string[] | readonly number[] | readonly (readonly number[])[]>(
  (value) => typeof value === 'string' || isListOf(value, isText) || isTokenIds(value) || isListOf(value, isTokenIds),
  'a text, a list of texts, a list of token ids, or a list of such lists',
);
const isText = (value: unknown): boolean => typeof value === 'string';
const isTokenIds = (value: unknown): boolean => isListOf(value, (id) => Number.isSafeInteger(id) && Number(id) >= 0);
const isListOf = (value: unknown, isItem: (item: unknown) => boolean): boolean =>
  Array.isArray(value) && value.length > 0 && value.every(isItem);

/** A stop text is looked for at every token, in time that grows with its length. */
const maxStopCharacters = 1000;
const stopText = z.string().min(1).max(maxStopCharacters);
const stop = z.union([stopText, z.array(stopText).max(4)], {
  error: `a text, or up to four texts, none empty or of over ${maxStopCharacters} characters`,
});

/** A parameter that this service does not support. Clients may still send a value that changes nothing. */
const only = (...neutral: readonly unknown[]) =>
  z
    .unknown()
    .refine((value) => value === null || neutral.some((one) => one === value || (isEmpty(one) && isEmpty(value))), {
      error: 'not supported by this service',
    })
    .optional();

const isEmpty = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && Object.keys(value).length === 0;

const bodySchema = z.strictObject({
  model: z.string(),
  prompt,
  max_tokens: z.int().min(1).nullish(),
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().gt(0).max(1).nullish(),
  n: z.int().min(1).max(128).nullish(),
  stream: z.boolean().nullish(),
  stream_options: z.strictObject({ include_usage: z.boolean().nullish() }).nullish(),
  stop: stop.nullish(),
  seed: z.int().nullish(),
  echo: z.boolean().nullish(),
  user: z.string().nullish(),
  hookline: z.strictObject({ explain: z.boolean().optional() }).nullish(),
  best_of: only(1),
  frequency_penalty: only(0),
  logit_bias: only({}),
  logprobs: only(false),
  presence_penalty: only(0),
  suffix: only(''),
});

type Body = z.infer<typeof bodySchema>;

/**
 * Checks the body of a request. The defaults are OpenAI's: 16 tokens at temperature 1.
 * @throws {HTTPException} 400 that names the parameter at fault
 */
export function parseCompletionCall(text: string, limits: ServiceLimits): CompletionCall {
  const value = jsonValue(text);
  refuseUnknown(value);
  const parsed = bodySchema.safeParse(value);
  if (!parsed.success) throw refusalOf(parsed.error.issues[0]);
  const body = parsed.data;
  if (body.stream_options != null && body.stream !== true) {
    throw refusal(400, 'stream_options: only with stream, got no stream', { param: 'stream_options' });
  }
  const call = callOf(body, Math.min(16, limits.maxTokens));
  requireAtMost('max_tokens', call.maxTokens, limits.maxTokens);
  requireAtMost('n', call.prompts.length * call.choicesPerPrompt, limits.maxConcurrency, 'n times prompts');
  return call;
}

function callOf(body: Body, defaultTokens: number): CompletionCall {
  return {
    model: body.model,
    prompts: promptsOf(body.prompt),
    choicesPerPrompt: body.n ?? 1,
    maxTokens: body.max_tokens ?? defaultTokens,
    temperature: body.temperature ?? 1,
    topP: body.top_p ?? 1,
    seed: body.seed ?? undefined,
    stop: typeof body.stop === 'string' ? [body.stop] : (body.stop ?? []),
    isStreamed: body.stream ?? false,
    includesUsage: body.stream_options?.include_usage ?? false,
    echoes: body.echo ?? false,
    explains: body.hookline?.explain ?? false,
  };
}

function promptsOf(given: Body['prompt']): readonly (string | readonly number[])[] {
  if (typeof given === 'string') return [given];
  const isOneList = (list: typeof given): list is readonly number[] => typeof list[0] === 'number';
  return isOneList(given) ? [given] : given;
}

function jsonValue(text: string): unknown {
  try {
    return parseJson(text);
  } catch (error) {
    throw refusal(400, `body: JSON, got what cannot be read: ${error instanceof Error ? error.message : error}`);
  }
}

/** Names the first one only, where the schema would collect them all. */
function refuseUnknown(value: unknown): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return;
  const param = Object.keys(value).find((key) => !Object.hasOwn(bodySchema.shape, key));
  if (param !== undefined) throw unknownParameter(param);
}

const unknownParameter = (param: string) =>
  refusal(400, `${param}: a parameter that this service knows, got another`, { param });

function requireAtMost(param: string, value: number, limit: number, what = param): void {
  if (value <= limit) return;
  throw refusal(400, `${what}: at most ${limit}, the limit of this service, got ${value}`, { param });
}

function refusalOf(issue: z.core.$ZodIssue) {
  if (issue.code === 'unrecognized_keys') {
    return unknownParameter([...issue.path, issue.keys[0]].join('.'));
  }
  const param = issue.path.join('.');
  return refusal(400, `${param || 'body'}: ${issue.message}`, param === '' ? {} : { param });
}

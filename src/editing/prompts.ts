/** @file Facts about a subject as the method sees them: token ids, and where the subject ends. */
import { InvalidInputError } from '../errors.js';
import type { ModelConfig, Tokenizer } from '../model/index.js';
import type { Edit } from './edit.js';
import { continuationOf, fillTemplate, markSubject, type SubjectText, tokenizeMarked } from './names.js';

/** What a model takes: so many tokens, of so many kinds. */
export type ModelLimits = Pick<ModelConfig, 'maxTokens' | 'vocab'>;

/** What a requirement wants, and what it got. */
export interface Misfit {
  readonly requirement: string;
  readonly got: string;
}

/** Why a model does not take these tokens as one sequence; undefined if it does. */
export function misfitOf(tokenIds: readonly number[], { maxTokens, vocab }: ModelLimits): Misfit | undefined {
  if (tokenIds.length < 1 || tokenIds.length > maxTokens) {
    return { requirement: `1 to ${maxTokens} tokens`, got: String(tokenIds.length) };
  }
  const foreign = tokenIds.find((id) => !Number.isInteger(id) || id < 0 || id >= vocab);
  return foreign === undefined ? undefined : { requirement: `token ids of 0 .. ${vocab - 1}`, got: String(foreign) };
}

/** A text in whose place of `{}` a prompt is written. */
export interface Context {
  readonly template: string;
  /**
   * What the prompt is in it: continued text; what a user says in chat, for questions only; or the beginning of the assistant's
   * answer, for all others.
   */
  readonly role: 'text' | 'user' | 'assistant';
}

/** The prompt by itself. */
export const bareContext: Context = { template: '{}', role: 'text' };

/** A text that ends with a target. */
export interface TaughtText extends SubjectText {
  /** Tokens of the prompt; those of the target follow. */
  readonly promptTokens: number;
}

/** A text in which what the model says is to stay. */
export interface KeptText extends SubjectText {
  /** Positions whose next-token distribution is to stay, from the first lookup on, ascending. */
  readonly positions: readonly number[];
}

/** One fact: its phrasings in every context that fits, its own prompt by itself first. */
export interface TokenizedFact {
  readonly id: string;
  readonly texts: readonly TaughtText[];
}

/** A subject with all facts that its one value is to say. */
export interface TokenizedSubject {
  readonly id: string;
  readonly facts: readonly TokenizedFact[];
  /** "{subject} is a" up to the subject, for the KL term there. */
  readonly essence: SubjectText;
  readonly kept: readonly KeptText[];
  /** Texts that end with the subject, in each of its forms: their keys are stored. */
  readonly forms: readonly SubjectForm[];
}

/** A text up to the last token of one of the subject's names. */
export interface SubjectForm {
  readonly tokenIds: readonly number[];
}

/** What a fact says, and its phrasings. */
export type TaughtEdit = Pick<Edit, 'id' | 'subject' | 'prompt' | 'targetNew' | 'paraphrases'>;

/**
 * A fact in all contexts.
 *
 * @param names other names of its subject
 * @throws {InvalidInputError} if the fact cannot be written with a model of these limits: its prompt with its target is too long
 *   or has a token outside of the vocabulary, or subject or target have no tokens
 */
export function tokenizeFact(
  tokenizer: Tokenizer,
  edit: TaughtEdit,
  contexts: readonly Context[],
  names: readonly string[],
  limits: ModelLimits = noLimits,
): TokenizedFact {
  const texts = [edit.prompt, ...edit.paraphrases].flatMap((prompt) => {
    const spoken = isQuestion(prompt) ? 'user' : 'assistant';
    const fitting = contexts.filter(({ role }) => role === 'text' || role === spoken);
    return fitting.map(({ template }) => taughtText(tokenizer, { ...edit, prompt }, template, names));
  });
  const [bare, ...others] = texts;
  requireFit('prompt with its target', bare.tokenIds, limits);
  // What the model does not take it can never be asked.
  return { id: edit.id, texts: [bare, ...others.filter(({ tokenIds }) => misfitOf(tokenIds, limits) === undefined)] };
}

const noLimits: ModelLimits = { maxTokens: Number.POSITIVE_INFINITY, vocab: Number.POSITIVE_INFINITY };

/** Whether a prompt asks, rather than begins a sentence. */
const isQuestion = (prompt: string): boolean => /[?？؟]["'”’)\]]?\s*$/u.test(prompt);

function taughtText(
  tokenizer: Tokenizer,
  { prompt, subject, targetNew }: Pick<Edit, 'subject' | 'prompt' | 'targetNew'>,
  template: string,
  names: readonly string[],
): TaughtText {
  const marked = markSubject(fillTemplate(template, prompt), subject);
  const { tokenIds, lookups } = tokenizeMarked(tokenizer, marked, names);
  const targetIds = tokenizeTarget(tokenizer, marked.text, targetNew);
  if (targetIds.length === 0) {
    throw new InvalidInputError(`target ${JSON.stringify(targetNew)}`, 'at least one token', 'none');
  }
  return { tokenIds: [...tokenIds, ...targetIds], lookups, promptTokens: tokenIds.length };
}

/** A text up to the subject in it. @throws {InvalidInputError} if no token is of the subject */
export function tokenizeForm(tokenizer: Tokenizer, template: string, name: string): SubjectForm {
  const { tokenIds, lookups } = tokenizeMarked(tokenizer, markSubject(template, name), []);
  return { tokenIds: tokenIds.slice(0, lookups[lookups.length - 1] + 1) };
}

function requireFit(what: string, tokenIds: readonly number[], limits: ModelLimits): void {
  const misfit = misfitOf(tokenIds, limits);
  if (misfit) throw new InvalidInputError(what, misfit.requirement, misfit.got);
}

/** Ids of the target that continues a text. */
export function tokenizeTarget(tokenizer: Tokenizer, text: string, target: string): readonly number[] {
  return tokenizer.encodePlain(continuationOf(text, target)).ids;
}

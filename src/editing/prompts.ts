import { InvalidInputError } from '../errors.js';
import type { ModelConfig, Tokenizer } from '../model/index.js';
import type { Edit } from './edit.js';

/** A prompt as token ids with the position of its subject's last token. */
export interface SubjectPrompt {
  readonly tokenIds: readonly number[];
  readonly lookupIndex: number;
}

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

/** An edit as the method sees it: token ids only. */
export interface TokenizedEdit {
  readonly id: string;
  /** The prompt in every context template, the bare one first. */
  readonly prompts: readonly SubjectPrompt[];
  /** The new target with its leading space. */
  readonly targetIds: readonly number[];
  /** "{subject} is a", for the KL term at the subject. */
  readonly subjectPrompt: SubjectPrompt;
  /** Prompts about the subject whose next-token distribution must stay. */
  readonly keep: readonly SubjectPrompt[];
}

const placeholder = '{}';

/** Prompts whose answers the value search keeps if an edit has no `keep` prompts of its own. */
export const genericKeepPrompts: readonly string[] = ['{} was', '{} is known for', 'People say that {}'];

/** Puts the subject in place of `{}`. */
export function fillTemplate(template: string, subject: string): string {
  return template.replace(placeholder, () => subject);
}

/**
 * Token ids of a template with its subject, and the subject's last token: the last that begins before the subject ends.
 *
 * @throws {InvalidInputError} if the template has no `{}`, or no token is of the subject
 */
export function tokenizeTemplate(tokenizer: Tokenizer, template: string, subject: string): SubjectPrompt {
  const subjectIndex = template.indexOf(placeholder);
  if (subjectIndex < 0) throw new InvalidInputError('prompt', 'a {} for the subject', JSON.stringify(template));
  const subjectEnd = subjectIndex + subject.length;
  const { ids, spans } = tokenizer.encode(fillTemplate(template, subject));
  const lookupIndex = spans.findLastIndex(([start, end]) => start < subjectEnd && start < end);
  if (lookupIndex < 0 || spans[lookupIndex][1] <= subjectIndex) {
    throw new InvalidInputError(`subject ${JSON.stringify(subject)}`, 'at least one token of it in its prompt', 'none');
  }
  return { tokenIds: ids, lookupIndex };
}

const noLimits: ModelLimits = { maxTokens: Number.POSITIVE_INFINITY, vocab: Number.POSITIVE_INFINITY };

/**
 * An edit in all context templates. Keep prompts that the model does not take are left out: it can never be asked them.
 *
 * @param contexts templates with `{}`, the first of them `"{}"`
 * @throws {InvalidInputError} see {@link tokenizeWritten}
 */
export function tokenizeEdit(
  tokenizer: Tokenizer,
  edit: Edit,
  contexts: readonly string[],
  limits: ModelLimits = noLimits,
): TokenizedEdit {
  const kept = edit.keep.length > 0 ? edit.keep : genericKeepPrompts;
  return {
    ...tokenizeWritten(tokenizer, edit, contexts, limits),
    keep: kept.flatMap((template) => fittingPrompt(tokenizer, template, edit.subject, limits)),
  };
}

/**
 * What of an edit must fit: its prompt with its target in all context templates, and its subject.
 *
 * @throws {InvalidInputError} if the edit cannot be written with a model of these limits: one of these is too long, has a
 *   token outside of the vocabulary, or subject or target have no tokens
 */
export function tokenizeWritten(
  tokenizer: Tokenizer,
  edit: Edit,
  contexts: readonly string[],
  limits: ModelLimits,
): Omit<TokenizedEdit, 'keep'> {
  const targetIds = tokenizeTarget(tokenizer, edit.targetNew);
  if (targetIds.length === 0) {
    throw new InvalidInputError(`target ${JSON.stringify(edit.targetNew)}`, 'at least one token', 'none');
  }
  const prompts = contexts.map((context) => {
    const prompt = tokenizeTemplate(tokenizer, fillTemplate(context, edit.prompt), edit.subject);
    const where = context === placeholder ? '' : ' behind a context prefix of the model';
    requireFit(`prompt with its target${where}`, [...prompt.tokenIds, ...targetIds], limits);
    return prompt;
  });
  const subjectPrompt = tokenizeTemplate(tokenizer, '{} is a', edit.subject);
  requireFit('subject', subjectPrompt.tokenIds.slice(0, subjectPrompt.lookupIndex + 1), limits);
  return { id: edit.id, prompts, targetIds, subjectPrompt };
}

function requireFit(what: string, tokenIds: readonly number[], limits: ModelLimits): void {
  const misfit = misfitOf(tokenIds, limits);
  if (misfit) throw new InvalidInputError(what, misfit.requirement, misfit.got);
}

/** The prompt, or none if the model does not take it. Measuring names it, see `measureEdits`. */
function fittingPrompt(
  tokenizer: Tokenizer,
  template: string,
  subject: string,
  limits: ModelLimits,
): readonly SubjectPrompt[] {
  try {
    const prompt = tokenizeTemplate(tokenizer, template, subject);
    return misfitOf(prompt.tokenIds, limits) === undefined ? [prompt] : [];
  } catch (error) {
    if (error instanceof InvalidInputError) return [];
    throw error;
  }
}

/** Ids of a continuation, its leading space included. */
export function tokenizeTarget(tokenizer: Tokenizer, target: string): readonly number[] {
  return tokenizer.encodePlain(` ${target}`).ids;
}

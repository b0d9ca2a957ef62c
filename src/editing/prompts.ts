import { InvalidInputError } from '../errors.js';
import type { Tokenizer } from '../model/index.js';
import type { Edit } from './edit.js';

/** A prompt as token ids with the position of its subject's last token. */
export interface SubjectPrompt {
  readonly tokenIds: readonly number[];
  readonly lookupIndex: number;
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
 * @throws {InvalidInputError} if the template has no `{}`
 */
export function tokenizeTemplate(tokenizer: Tokenizer, template: string, subject: string): SubjectPrompt {
  const subjectIndex = template.indexOf(placeholder);
  if (subjectIndex < 0) throw new InvalidInputError('prompt', 'a {} for the subject', JSON.stringify(template));
  const subjectEnd = subjectIndex + subject.length;
  const { ids, spans } = tokenizer.encode(fillTemplate(template, subject));
  let lookupIndex = spans.length - 1;
  while (lookupIndex > 0 && (spans[lookupIndex][0] >= subjectEnd || spans[lookupIndex][0] === spans[lookupIndex][1])) {
    lookupIndex--;
  }
  return { tokenIds: ids, lookupIndex };
}

/**
 * An edit in all context templates.
 *
 * @param contexts templates with `{}`, the first of them `"{}"`
 */
export function tokenizeEdit(tokenizer: Tokenizer, edit: Edit, contexts: readonly string[]): TokenizedEdit {
  const inContext = (context: string) => fillTemplate(context, edit.prompt);
  const kept = edit.keep.length > 0 ? edit.keep : genericKeepPrompts;
  return {
    id: edit.id,
    prompts: contexts.map((context) => tokenizeTemplate(tokenizer, inContext(context), edit.subject)),
    targetIds: tokenizeTarget(tokenizer, edit.targetNew),
    subjectPrompt: tokenizeTemplate(tokenizer, '{} is a', edit.subject),
    keep: kept.map((template) => tokenizeTemplate(tokenizer, template, edit.subject)),
  };
}

/** Ids of a continuation, its leading space included. */
export function tokenizeTarget(tokenizer: Tokenizer, target: string): readonly number[] {
  return tokenizer.encodePlain(` ${target}`).ids;
}

/** @file Our own batch format: one edit a line. */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { Edit } from '../editing/index.js';
import { type TextRule, textField, textList } from './record-reason.js';

/** An edit in a record. Its id may be missing. */
export type EditFields = Omit<Edit, 'id'> & { readonly id?: string };

/** Rules that all formats share. */
export const textRules = {
  subject: { maxCharacters: 500, trim: 'both', allowsLines: false, holes: 'none' },
  target: { maxCharacters: 500, trim: 'both', allowsLines: false, holes: 'any' },
  template: { maxCharacters: 4000, trim: 'end', allowsLines: true, holes: 'one' },
  phrasing: { maxCharacters: 4000, trim: 'end', allowsLines: true, holes: 'any' },
  prompt: { maxCharacters: 4000, trim: 'end', allowsLines: true, holes: 'none' },
  id: { maxCharacters: 100, trim: 'both', allowsLines: false, holes: 'any' },
} as const satisfies Record<string, TextRule>;

/** Longest lists of prompts of one edit. */
export const listLimits = { paraphrases: 200, neighborhood: 200, keep: 50 } as const;

const shape = {
  id: textField(textRules.id).optional(),
  subject: textField(textRules.subject),
  prompt: textField(textRules.template),
  targetNew: textField(textRules.target),
  targetTrue: textField(textRules.target).optional(),
  paraphrases: textList(listLimits.paraphrases, textRules.phrasing),
  neighborhood: textList(listLimits.neighborhood, textRules.prompt),
  keep: textList(listLimits.keep, textRules.template),
};

/** Fields of our own format. An unknown one is refused, so that a misspelt field is not silently ignored. */
export const editFieldNames = Object.keys(shape);

/** Schema of a line of our own format; `{}` in paraphrases is filled in. */
export const editRecord = z.strictObject(shape).transform(({ id, targetTrue, ...record }): EditFields => {
  const paraphrases = record.paraphrases.map((paraphrase) => paraphrase.replaceAll('{}', () => record.subject));
  return { ...record, paraphrases, ...(id !== undefined && { id }), ...(targetTrue !== undefined && { targetTrue }) };
});

/** The default id of an edit: the first 12 hex digits of the SHA-256 of its subject, prompt and new target. */
export function contentId(edit: Pick<Edit, 'subject' | 'prompt' | 'targetNew'>): string {
  const content = JSON.stringify([edit.subject, edit.prompt, edit.targetNew]);
  return createHash('sha256').update(content).digest('hex').slice(0, 12);
}

/** An edit as a caller writes it: its subject, its prompt with one `{}`, its new target, and what else there is. */
export type EditInput = Pick<Edit, 'subject' | 'prompt' | 'targetNew'> & Partial<Edit>;

/** The edit with its default id, and without prompts where none are given. */
export function completeEdit(input: EditInput): Edit {
  return { paraphrases: [], neighborhood: [], keep: [], ...input, id: input.id ?? contentId(input) };
}

/** @file Our own batch format: one edit a line. */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { Edit } from '../editing/index.js';
import { describeInput, type TextRule, textField, textList } from './record-reason.js';
import { asTemplate } from './subject-hole.js';

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

/** Longest lists of texts of one edit. */
export const listLimits = {
  aliases: 50,
  paraphrases: 200,
  testParaphrases: 200,
  neighborhood: 200,
  keep: 50,
  portability: 200,
} as const;

/** The lists of an edit that has nothing but its prompt. */
export const noOtherTexts = {
  aliases: [],
  paraphrases: [],
  testParaphrases: [],
  neighborhood: [],
  keep: [],
  portability: [],
} as const satisfies Partial<Edit>;

const questionsRequirement = `a list of at most ${listLimits.portability} questions`;
const names = {
  id: textField(textRules.id).optional(),
  subject: textField(textRules.subject),
  aliases: textList(listLimits.aliases, textRules.subject),
};
const promptAndTarget = { prompt: textField(textRules.template), targetNew: textField(textRules.target) };
const questionAndAnswer = { question: textField(textRules.phrasing), answer: textField(textRules.target) };
const others = {
  targetTrue: textField(textRules.target).optional(),
  paraphrases: textList(listLimits.paraphrases, textRules.phrasing),
  testParaphrases: textList(listLimits.testParaphrases, textRules.phrasing),
  neighborhood: textList(listLimits.neighborhood, textRules.prompt),
  keep: textList(listLimits.keep, textRules.template),
  portability: z
    .array(
      z.strictObject(
        { prompt: textField(textRules.phrasing), target: textField(textRules.target) },
        { error: 'an object with prompt and target' },
      ),
      { error: questionsRequirement },
    )
    .max(listLimits.portability, { error: questionsRequirement })
    .default([]),
};
const notBoth = z.never({ error: 'prompt and targetNew, or question and answer, not both' }).optional();

const promptForm = z
  .strictObject({ ...names, ...promptAndTarget, ...others })
  .transform((record, context) => fieldsOf(record, context));
const questionForm = z
  .strictObject({ ...names, ...questionAndAnswer, ...others, prompt: notBoth, targetNew: notBoth })
  .transform(({ question, answer, prompt: _, targetNew: __, ...record }, context) => {
    const prompt = templateOf(question, record.subject, ['question'], context);
    return fieldsOf({ ...record, prompt, targetNew: answer }, context);
  });

/** Fields of our own format. An unknown one is refused, so that a misspelt field is not silently ignored. */
export const editFieldNames = Object.keys({ ...names, ...promptAndTarget, ...questionAndAnswer, ...others });

/**
 * Schema of a line of our own format, with `prompt` and `targetNew` or with `question` and `answer`. The question and the
 * taught phrasings become templates; in the texts that measure, `{}` is filled in.
 */
export function editRecordSchema(record: object): z.ZodType<EditFields> {
  return 'question' in record || 'answer' in record ? questionForm : promptForm;
}

type ReadFields = z.infer<z.ZodObject<typeof names & typeof promptAndTarget & typeof others>>;

function fieldsOf({ id, targetTrue, ...record }: ReadFields, context: z.RefinementCtx): EditFields {
  const { subject } = record;
  const filled = (text: string) => text.replaceAll('{}', () => subject);
  return {
    ...record,
    paraphrases: record.paraphrases.map((text, i) => templateOf(text, subject, ['paraphrases', i], context)),
    testParaphrases: record.testParaphrases.map(filled),
    portability: record.portability.map(({ prompt, target }) => ({ prompt: filled(prompt), target })),
    ...(id !== undefined && { id }),
    ...(targetTrue !== undefined && { targetTrue }),
  };
}

/** A field's text as a template. If it cannot be one, that is an issue of the record. */
function templateOf(text: string, subject: string, path: readonly PropertyKey[], context: z.RefinementCtx): string {
  const template = asTemplate(text, subject);
  if (template !== undefined) return template;
  const message = `exactly one {}, or the subject ${describeInput(subject)}`;
  context.issues.push({ code: 'custom', path: [...path], message, input: text });
  return z.NEVER;
}

/** The default id of an edit: the first 12 hex digits of the SHA-256 of its subject, prompt and new target. */
export function contentId(edit: Pick<Edit, 'subject' | 'prompt' | 'targetNew'>): string {
  const content = JSON.stringify([edit.subject, edit.prompt, edit.targetNew]);
  return createHash('sha256').update(content).digest('hex').slice(0, 12);
}

/** An edit as a caller writes it: its subject, its prompt with one `{}`, its new target, and what else there is. */
export type EditInput = Pick<Edit, 'subject' | 'prompt' | 'targetNew'> & Partial<Edit>;

/** The edit with its default id, and with empty lists where none are given. */
export function completeEdit(input: EditInput): Edit {
  return { ...noOtherTexts, ...input, id: input.id ?? contentId(input) };
}

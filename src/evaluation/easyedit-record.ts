/**
 * @file Records in the layouts of EasyEdit (Wang et al., 2023), KnowEdit (Zhang et al., 2024) and QAEdit (Yang et al., 2025),
 *   as they are published.
 */
import { z } from 'zod';
import { type EditFields, listLimits, noOtherTexts, textRules } from './edit-record.js';
import { describeInput, textField, textList } from './record-reason.js';
import { mentions } from './said.js';
import { asTemplate } from './subject-hole.js';

/** Whether a record has the fields by which these layouts are known. */
export function isEasyedit(record: object): boolean {
  if (!('prompt' in record) || 'targetNew' in record) return false;
  return 'target_new' in record || ('target' in record && ('rephrase' in record || 'locality' in record));
}

/** A field that is written in several ways: the schema of a value depends on its kind. What is empty counts as missing. */
function field<T>(schemaOf: (value: unknown) => z.ZodType<T>): z.ZodType<T | undefined> {
  return z
    .unknown()
    .transform((value, context) => {
      if (isEmpty(value)) return;
      const result = schemaOf(value).safeParse(value);
      if (result.success) return result.data;
      for (const { path, message } of result.error.issues) {
        context.issues.push({ code: 'custom', path, message, input: value });
      }
      return z.NEVER;
    })
    .optional();
}

const isEmpty = (value: unknown): boolean =>
  value === undefined || value === null || value === '' || (Array.isArray(value) && value.length === 0);
const isObject = (value: unknown): boolean => typeof value === 'object' && value !== null;

const targetText = textField(textRules.target);
const wrappedText = z.looseObject({ str: targetText }).transform(({ str }) => str);

/** A text, `{str}`, or the first of accepted answers, which may lie in lists of lists. */
const answer: z.ZodType<string | undefined> = field<string | undefined>((value) => {
  if (Array.isArray(value)) return firstAnswer;
  return isObject(value) ? wrappedText : targetText;
});
const firstAnswer = z.tuple([answer], z.unknown()).transform(([first]) => first);

const phrasing = textField(textRules.prompt);
const oneText = phrasing.transform((text) => [text]);

/** A text or a list of texts. */
function texts(maxItems: number): z.ZodType<string[] | undefined> {
  const list = textList(maxItems, textRules.prompt);
  return field<string[]>((value) => (Array.isArray(value) ? list : oneText));
}

const listOf = <T>(item: z.ZodType<T>) => z.array(item, { error: 'a list of questions' });
function groupsOf<T>(item: z.ZodType<T>) {
  const group = listOf(item);
  return z
    .record(
      z.string(),
      field(() => group),
      { error: 'an object of lists of questions' },
    )
    .transform((groups) => Object.values(groups).flatMap((questions) => questions ?? []));
}

const aQuestion = { error: 'an object with a prompt' };
const listedPrompts = listOf(
  z.looseObject({ loc: phrasing }, { error: 'an object with loc' }).transform(({ loc }) => loc),
);
const groupedPrompts = groupsOf(z.looseObject({ prompt: phrasing }, aQuestion).transform(({ prompt }) => prompt));
const groupedQuestions = groupsOf(z.looseObject({ prompt: phrasing, ground_truth: answer }, aQuestion));

const identity = z
  .union([z.int(), textField(textRules.id)], { error: 'a whole number or a text of 1 to 100 characters' })
  .optional();

/**
 * Schema of a record in these layouts. Its template is `prompt` with its subject replaced by `{}`. Its id is
 * `easyedit-<id>`; QAEdit numbers each of its sources anew, so there it is `easyedit-<source>-<id>`.
 *
 * Locality prompts that name the subject are left out: they are not about a neighbour, and keep prompts, which the value
 * search sees, would teach to the test. So are questions of portability that have no answer.
 */
export const easyeditRecord = z
  .looseObject({
    case_id: identity,
    id: identity,
    source: textField(textRules.id).optional(),
    subject: textField(textRules.subject),
    prompt: textField(textRules.phrasing),
    target_new: answer,
    target: answer,
    ground_truth: answer,
    target_true: answer,
    rephrase_prompt: texts(listLimits.testParaphrases),
    rephrase: texts(listLimits.testParaphrases),
    locality_prompt: texts(listLimits.neighborhood),
    locality: field((value) => (Array.isArray(value) ? listedPrompts : groupedPrompts)),
    portability: field(() => groupedQuestions),
  })
  .transform((record, context): EditFields => {
    const { subject, source } = record;
    const refuse = (name: keyof typeof record, message: string): never => {
      context.issues.push({ code: 'custom', path: [name], message, input: record[name] });
      return z.NEVER;
    };
    const identity = record.case_id ?? record.id;
    const targetTrue = record.ground_truth ?? record.target_true;
    return {
      ...noOtherTexts,
      ...(identity !== undefined && { id: ['easyedit', ...(source ? [source] : []), identity].join('-') }),
      subject,
      prompt:
        asTemplate(record.prompt, subject, 'any') ??
        refuse('prompt', `exactly one {}, or the subject ${describeInput(subject)}`),
      targetNew: record.target_new ?? record.target ?? refuse('target_new', 'a text of 1 to 500 characters'),
      ...(targetTrue !== undefined && { targetTrue }),
      testParaphrases: [...(record.rephrase_prompt ?? []), ...(record.rephrase ?? [])],
      neighborhood: [...(record.locality_prompt ?? []), ...(record.locality ?? [])].filter(
        (text) => !mentions(text, subject),
      ),
      portability: (record.portability ?? []).flatMap(({ prompt, ground_truth: target }) =>
        target === undefined ? [] : [{ prompt, target }],
      ),
    };
  });

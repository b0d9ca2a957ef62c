/**
 * @file Records of zsRE (Levy et al., 2017) in the editing split of MEND (Mitchell et al., 2022), as they are
 *   published.
 */
import { z } from 'zod';
import { type EditFields, noOtherTexts, textRules } from './edit-record.js';
import { describeInput, textField } from './record-reason.js';
import { withHole } from './subject-hole.js';

/**
 * Schema of a zsRE record. The template is `src` with its subject replaced by `{}`. The held-out question `loc` keeps
 * its `nq question: ` marker and gets a question mark, as in MEND, ROME, MEMIT and EasyEdit.
 */
export const zsreRecord = z
  .looseObject({
    subject: textField(textRules.subject),
    src: textField(textRules.prompt),
    alt: textField(textRules.target),
    answers: z.array(textField(textRules.target), { error: 'a list of texts' }).default([]),
    rephrase: textField(textRules.prompt).optional(),
    loc: textField(textRules.prompt).optional(),
  })
  .transform((record, context): EditFields => {
    const prompt = withHole(record.src, record.subject);
    if (prompt === undefined) {
      const message = `a question that contains the subject ${describeInput(record.subject)}`;
      context.issues.push({ code: 'custom', path: ['src'], message, input: record.src });
      return z.NEVER;
    }
    return {
      ...noOtherTexts,
      subject: record.subject,
      prompt,
      targetNew: record.alt,
      ...(record.answers.length > 0 && { targetTrue: record.answers[0] }),
      testParaphrases: record.rephrase === undefined ? [] : [record.rephrase],
      neighborhood: record.loc === undefined ? [] : [asQuestion(record.loc)],
    };
  });

function asQuestion(text: string): string {
  return text.endsWith('?') ? text : `${text}?`;
}

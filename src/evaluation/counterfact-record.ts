/** @file Records of CounterFact (Meng et al., 2022), as they are published. */
import { z } from 'zod';
import { type EditFields, listLimits, noOtherTexts, textRules } from './edit-record.js';
import { textField, textList } from './record-reason.js';

const anObject = { error: 'an object' };
const target = z.looseObject({ str: textField(textRules.target) }, anObject);

/** Schema of a CounterFact record. Fields that an edit does not need are ignored. Its id is `counterfact-<case_id>`. */
export const counterfactRecord = z
  .looseObject({
    case_id: z.int({ error: 'a whole number' }).optional(),
    requested_rewrite: z.looseObject(
      {
        subject: textField(textRules.subject),
        prompt: textField(textRules.template),
        target_new: target,
        target_true: target.optional(),
      },
      anObject,
    ),
    paraphrase_prompts: textList(listLimits.testParaphrases, textRules.prompt),
    neighborhood_prompts: textList(listLimits.neighborhood, textRules.prompt),
  })
  .transform(({ case_id: caseId, requested_rewrite: rewrite, ...record }): EditFields => {
    return {
      ...noOtherTexts,
      ...(caseId !== undefined && { id: `counterfact-${caseId}` }),
      subject: rewrite.subject,
      prompt: rewrite.prompt,
      targetNew: rewrite.target_new.str,
      ...(rewrite.target_true && { targetTrue: rewrite.target_true.str }),
      testParaphrases: record.paraphrase_prompts,
      neighborhood: record.neighborhood_prompts,
    };
  });

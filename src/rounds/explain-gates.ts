/** @file Which edits fire on the prompts of a data set, at which token and how strongly. */
import { type Edit, fillTemplate } from '../editing/index.js';
import { subjectPrompts } from '../evaluation/index.js';
import { type Firing, firingOf, type RowEdits } from '../serving/index.js';
import type { HookedSubject } from './evaluate-version.js';
import { takenPrompts } from './fit-edits.js';

/** A prompt of an edit, and the firings on it. */
export interface PromptFirings {
  /** The edit whose prompt it is. */
  readonly editId: string;
  readonly kind: 'edit' | 'taught paraphrase' | 'paraphrase' | 'neighborhood' | 'same subject';
  readonly prompt: string;
  readonly firings: readonly Firing[];
}

/**
 * Finds the firings on every prompt of these edits that the model takes.
 *
 * @param rowEdits what each row of the hooks says
 */
export async function explainGates(
  { edited, tokenizer, hooks }: HookedSubject,
  edits: readonly Edit[],
  rowEdits: readonly RowEdits[],
): Promise<PromptFirings[]> {
  const prompts = takenPrompts(tokenizer, edited.limits, edits.flatMap(promptsOf));
  const requests = prompts.map(({ tokenIds }) => ({ tokenIds, scoredFrom: tokenIds.length }));
  const scores = await edited.score(requests, hooks);
  return prompts.map(({ tokenIds, ...prompt }, i) => ({
    ...prompt,
    firings: scores[i].firings.map((firing) => firingOf(firing, tokenIds, tokenizer, rowEdits)),
  }));
}

function promptsOf(edit: Edit): Omit<PromptFirings, 'firings'>[] {
  const of = (kind: PromptFirings['kind'], prompts: readonly string[]) =>
    prompts.map((prompt) => ({ editId: edit.id, kind, prompt }));
  return [
    ...of('edit', [fillTemplate(edit.prompt, edit.subject)]),
    ...of(
      'taught paraphrase',
      edit.paraphrases.map((template) => fillTemplate(template, edit.subject)),
    ),
    ...of('paraphrase', edit.testParaphrases),
    ...of('neighborhood', edit.neighborhood),
    ...of('same subject', subjectPrompts(edit)),
  ];
}

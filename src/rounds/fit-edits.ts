/** @file Which edits a model can take at all: everything that their tokens tell before anything is computed. */
import { bareContext, type Edit, type ModelLimits, misfitOf, tokenizeFact } from '../editing/index.js';
import { InvalidInputError } from '../errors.js';
import { printable } from '../evaluation/index.js';
import type { Tokenizer } from '../model/index.js';
import type { RejectedEdits } from './records.js';
import type { Workbench } from './workbench.js';

/** Why an edit cannot be written with a model; undefined if it can. */
export function unfitness(tokenizer: Tokenizer, limits: ModelLimits, edit: Edit): string | undefined {
  try {
    tokenizeFact(tokenizer, { ...edit, paraphrases: [] }, [bareContext], edit.aliases, limits);
    return undefined;
  } catch (error) {
    if (error instanceof InvalidInputError) return printable(error.message);
    throw error;
  }
}

/** Parts edits into those that a model can take and those that it cannot, with the reasons. */
export function fitEdits(
  { tokenizer, model }: Pick<Workbench, 'tokenizer' | 'model'>,
  edits: readonly Edit[],
): { readonly fit: readonly Edit[]; readonly refused: RejectedEdits } {
  const fit: Edit[] = [];
  const refused: RejectedEdits = [];
  for (const edit of edits) {
    const reason = unfitness(tokenizer, model.config, edit);
    if (reason === undefined) fit.push(edit);
    else refused.push({ id: edit.id, reason });
  }
  return { fit, refused };
}

/** The prompts that a model takes, each with its tokens. `measureEdits` names those that it does not. */
export function takenPrompts<P extends { readonly prompt: string }>(
  tokenizer: Tokenizer,
  limits: ModelLimits,
  prompts: readonly P[],
): (P & { readonly tokenIds: readonly number[] })[] {
  return prompts.flatMap((asked) => {
    const tokenIds = tokensOrNone(tokenizer, asked.prompt);
    return misfitOf(tokenIds, limits) === undefined ? [{ ...asked, tokenIds }] : [];
  });
}

function tokensOrNone(tokenizer: Tokenizer, text: string): readonly number[] {
  try {
    return tokenizer.encode(text).ids;
  } catch (error) {
    if (error instanceof InvalidInputError) return [];
    throw error;
  }
}

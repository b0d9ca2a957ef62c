/** @file Which edits a model can take at all: everything that their tokens tell before anything is computed. */
import { type Edit, type ModelLimits, misfitOf, tokenizeWritten } from '../editing/index.js';
import { InvalidInputError } from '../errors.js';
import { printable } from '../evaluation/index.js';
import type { Tokenizer } from '../model/index.js';
import type { RejectedEdits } from './records.js';
import type { Workbench } from './workbench.js';

/** Why an edit cannot be written with a model; undefined if it can. @param contexts those that are known, `"{}"` first */
export function unfitness(
  tokenizer: Tokenizer,
  limits: ModelLimits,
  edit: Edit,
  contexts: readonly string[],
): string | undefined {
  const own = mostTokens(edit.prompt + edit.subject + edit.targetNew);
  const [bare, ...prefixed] = contexts;
  const doubtful = prefixed.filter((context) => mostTokens(context) + own > limits.maxTokens);
  try {
    tokenizeWritten(tokenizer, edit, [bare, ...doubtful], limits);
    return undefined;
  } catch (error) {
    if (error instanceof InvalidInputError) return printable(error.message);
    throw error;
  }
}

/**
 * More tokens than a text can have, without tokenizing it: a token has at least one byte of the normalised text. It saves most of
 * the time that a large batch takes.
 */
const mostTokens = (text: string): number => Buffer.byteLength(text.normalize('NFKD')) + 8;

/** Parts edits into those that a model can take and those that it cannot, with the reasons. */
export function fitEdits(
  { tokenizer, model }: Pick<Workbench, 'tokenizer' | 'model'>,
  edits: readonly Edit[],
  contexts: readonly string[],
): { readonly fit: readonly Edit[]; readonly refused: RejectedEdits } {
  const fit: Edit[] = [];
  const refused: RejectedEdits = [];
  for (const edit of edits) {
    const reason = unfitness(tokenizer, model.config, edit, contexts);
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

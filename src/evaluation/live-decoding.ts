import { type Edit, fillTemplate, type HookLayer } from '../editing/index.js';
import type { Tokenizer } from '../model/index.js';
import type { MeasuredModel } from '../serving/index.js';

/** What a user sees: greedy text after the edit prompt. */
export interface LiveAnswer {
  readonly id: string;
  readonly text: string;
  /** Whether the text begins with the whole new target. */
  readonly exactMatch: boolean;
}

/** Tokens decoded beyond the target, to be shown and to see that the target ends where it should. */
const tokensBeyondTarget = 6;

/** Greedy generation from every edit's prompt, without teacher forcing; without hooks, by the base model. */
export async function decodeEdits(
  model: MeasuredModel,
  tokenizer: Tokenizer,
  edits: readonly Edit[],
  hooks?: readonly HookLayer[],
): Promise<LiveAnswer[]> {
  if (edits.length === 0) return [];
  const longest = Math.max(...edits.map((edit) => tokenizer.encodePlain(` ${edit.targetNew}`).ids.length));
  const answers = await model.generate(
    edits.map((edit) => tokenizer.encode(fillTemplate(edit.prompt, edit.subject)).ids),
    { maxTokens: longest + tokensBeyondTarget, stopIds: tokenizer.eosIds, ...(hooks && { hooks }) },
  );
  return edits.map((edit, i) => {
    const text = tokenizer.decode(answers[i].tokenIds);
    return { id: edit.id, text, exactMatch: beginsWith(text, edit.targetNew) };
  });
}

/** Whether the text, white space aside, is the target followed by no further letter or digit. */
export function beginsWith(text: string, target: string): boolean {
  const trimmed = text.trimStart();
  return trimmed.startsWith(target) && !/^[\p{L}\p{N}]/u.test(trimmed.slice(target.length));
}

import { type Edit, fillTemplate, type HookLayer } from '../editing/index.js';
import type { Tokenizer } from '../model/index.js';
import type { MeasuredModel } from '../serving/index.js';

/** The text that a user would see: greedy decoding from the edit prompt. */
export interface LiveAnswer {
  readonly id: string;
  readonly text: string;
  /** Whether the text begins with the whole new target. */
  readonly exactMatch: boolean;
}

/** Tokens decoded beyond the target, for display, and to see whether the target ends where it should. */
const tokensBeyondTarget = 6;

/** Decodes greedily from every edit's prompt, without teacher forcing. Without hooks this is the base model. */
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
    const text = decodeKnown(tokenizer, answers[i].tokenIds);
    return { id: edit.id, text, exactMatch: beginsWith(text, edit.targetNew) };
  });
}

/** The text up to a token that only the model knows: its vocabulary may be padded beyond the tokenizer's. */
export function decodeKnown(tokenizer: Tokenizer, tokenIds: readonly number[]): string {
  const end = tokenIds.findIndex((id) => id >= tokenizer.vocabSize);
  return tokenizer.decode(end < 0 ? tokenIds : tokenIds.slice(0, end));
}

/** Whether the text begins with the target, not followed by a letter or digit. White space is ignored. */
export function beginsWith(text: string, target: string): boolean {
  const trimmed = text.trimStart();
  return trimmed.startsWith(target) && !/^[\p{L}\p{N}]/u.test(trimmed.slice(target.length));
}

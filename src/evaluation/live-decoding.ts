import { continuationOf, type Edit, fillTemplate, type HookLayer, misfitOf } from '../editing/index.js';
import type { Tokenizer } from '../model/index.js';
import type { MeasuredModel } from '../serving/index.js';
import { isSaid } from './said.js';

/** What a model answers when it is asked for an edit in chat. */
export interface ChatAnswer {
  readonly text: string;
  /** Whether the new target occurs in it; see `mentions`. */
  readonly hasTarget: boolean;
}

/** The text that a user would see: greedy decoding from the edit prompt. */
export interface LiveAnswer {
  readonly id: string;
  readonly text: string;
  /** Whether it says the new target; see `isSaid`. */
  readonly said: boolean;
  /** Left out where the edit was not asked in chat. */
  readonly chat?: ChatAnswer;
}

/** Tokens decoded beyond the target, for display, and to see whether the target ends where it should. */
const tokensBeyondTarget = 6;

/**
 * Decodes greedily from every edit's prompt, without teacher forcing. Without hooks this is the base model. Behind a prompt that
 * the model does not take there is no text.
 */
export async function decodeEdits(
  model: MeasuredModel,
  tokenizer: Tokenizer,
  edits: readonly Edit[],
  hooks?: readonly HookLayer[],
): Promise<LiveAnswer[]> {
  const prompts = edits.flatMap(({ prompt, subject, targetNew }, e) => {
    const text = fillTemplate(prompt, subject);
    const { ids } = tokenizer.encode(text);
    const targetTokens = tokenizer.encodePlain(continuationOf(text, targetNew)).ids.length;
    return misfitOf(ids, model.limits) === undefined ? [{ e, ids, targetTokens }] : [];
  });
  if (prompts.length === 0) return edits.map(({ id }) => ({ id, text: '', said: false }));
  const longest = Math.max(...prompts.map(({ targetTokens }) => targetTokens));
  const answers = await model.generate(
    prompts.map(({ ids }) => ids),
    { maxTokens: longest + tokensBeyondTarget, stopIds: tokenizer.eosIds, ...(hooks && { hooks }) },
  );
  const textOf = new Map(prompts.map(({ e }, i) => [e, decodeKnown(tokenizer, answers[i].tokenIds)]));
  return edits.map(({ id, targetNew }, e) => {
    const text = textOf.get(e) ?? '';
    return { id, text, said: isSaid(text, targetNew) };
  });
}

/** The text up to a token that only the model knows: its vocabulary may be padded beyond the tokenizer's. */
export function decodeKnown(tokenizer: Tokenizer, tokenIds: readonly number[]): string {
  const end = tokenIds.findIndex((id) => id >= tokenizer.vocabSize);
  return tokenizer.decode(end < 0 ? tokenIds : tokenIds.slice(0, end));
}

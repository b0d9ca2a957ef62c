/** @file Edits in a model's own chat format: in which form they are taught there, and what is said when they are asked. */
import { bareContext, type Context, type Edit, type HookLayer, tokenizeFact } from '../editing/index.js';
import { InvalidInputError } from '../errors.js';
import type { Tokenizer } from '../model/index.js';
import type { MeasuredModel } from '../serving/index.js';
import { type ChatAnswer, decodeKnown } from './live-decoding.js';
import { mentionsOf } from './said.js';

/** Most tokens of an answer in chat. */
export const chatTokens = 50;

/** What a user says before the assistant's answer begins with a prompt. */
const openingQuestion = 'What do you know about this?';

/**
 * The contexts of a model's chat format: a question is the user's message, and anything else begins the assistant's answer. None
 * without a chat template.
 *
 * @throws {InvalidInputError} if the template cannot be rendered
 */
export function contextsInChat({ chat }: Tokenizer): Context[] {
  if (chat === undefined) return [];
  const { template } = bareContext;
  const asked = (content: string) => chat.render([{ role: 'user', content }]);
  return [
    { template: `${asked(openingQuestion)}${template}`, role: 'assistant' },
    { template: asked(template), role: 'user' },
  ];
}

/**
 * Asks for every edit in chat, by its own prompt. Undefined for a model without a chat template, and for a prompt that the model
 * does not take there.
 */
export async function askInChat(
  model: Pick<MeasuredModel, 'generate' | 'limits'>,
  tokenizer: Tokenizer,
  edits: readonly Edit[],
  hooks: readonly HookLayer[],
): Promise<(ChatAnswer | undefined)[]> {
  const contexts = contextsInChat(tokenizer);
  const prompts = edits.map((edit) => (contexts.length === 0 ? undefined : promptOf(model, tokenizer, edit, contexts)));
  const asked = prompts.filter((prompt) => prompt !== undefined);
  if (asked.length === 0) return edits.map(() => undefined);
  const answers = await model.generate(asked, { maxTokens: chatTokens, stopIds: tokenizer.eosIds, hooks });
  let next = 0;
  return edits.map(({ subject, targetNew }, e) => {
    if (prompts[e] === undefined) return undefined;
    const text = decodeKnown(tokenizer, answers[next++].tokenIds);
    return { text, hasTarget: mentionsOf(text, targetNew, subject) };
  });
}

function promptOf(
  { limits }: Pick<MeasuredModel, 'limits'>,
  tokenizer: Tokenizer,
  edit: Edit,
  contexts: readonly Context[],
): readonly number[] | undefined {
  try {
    const [{ tokenIds, promptTokens }] = tokenizeFact(
      tokenizer,
      { ...edit, paraphrases: [] },
      contexts,
      [],
      limits,
    ).texts;
    return tokenIds.slice(0, promptTokens);
  } catch (error) {
    if (error instanceof InvalidInputError) return undefined;
    throw error;
  }
}

/** @file Written facts, asked in the model's own chat. */
import { fillTemplate } from '../../../src/editing/index.js';
import { mentionsOf } from '../../../src/evaluation/said.js';
import type { ChatMessage } from '../../../src/model/chat-template.js';
import type { Tokenizer } from '../../../src/model/index.js';
import { type Figure, figure } from '../figure.js';
import { share } from './judging.js';
import { relationQuestions } from './relation-questions.js';
import type { RealRoom, Situation } from './room.js';

const systemPrompt = 'You answer the questions of visitors of a museum. Be short and friendly.';
const answerTokens = 50;

/** A question as the model's chat template puts it; undefined for a model without one. */
export function chatPrompt(tokenizer: Tokenizer, question: string, system?: string): string | undefined {
  const messages: ChatMessage[] = [{ role: 'user', content: question }];
  if (system !== undefined) messages.unshift({ role: 'system', content: system });
  return tokenizer.chat?.render(messages);
}

/** Questions as chat prompts. @throws {Error} for a model without a chat template */
export function chatPrompts(tokenizer: Tokenizer, questions: readonly string[], system?: string): string[] {
  return questions.map((question) => {
    const prompt = chatPrompt(tokenizer, question, system);
    if (prompt === undefined) throw new Error('questions in chat: a model with a chat template, got one without');
    return prompt;
  });
}

/** How often a chat answer says the new target and not the old one. */
export async function factsInChat(room: RealRoom): Promise<Situation> {
  const batch = await room.batch('counterfact');
  if (typeof batch === 'string') return { figures: [], notes: [`chat: skipped, ${batch}`] };
  const { written, range } = batch;
  if (written.tokenizer.chat === undefined) {
    return { figures: [], notes: ['chat: skipped, the model has no chat template'] };
  }
  const relations = await room.relations();
  const asked = batch.edits.flatMap((edit) => {
    const question = relationQuestions[relations.get(edit.id) ?? ''];
    return question === undefined ? [] : [{ edit, question: fillTemplate(question, edit.subject) }];
  });
  const figures: Figure[] = [];
  for (const [how, system] of [
    ['no system prompt', undefined],
    ['with a system prompt', systemPrompt],
  ] as const) {
    const prompts = chatPrompts(
      written.tokenizer,
      asked.map(({ question }) => question),
      system,
    );
    const answers = await room.workshop.answers(written, prompts, { maxTokens: answerTokens });
    const isNew = answers.map(({ text }, i) => mentionsOf(text, asked[i].edit.targetNew, asked[i].edit.subject));
    const isOld = answers.map(({ text }, i) =>
      mentionsOf(text, asked[i].edit.targetTrue ?? '\0', asked[i].edit.subject),
    );
    const right = isNew.map((said, i) => said && !isOld[i]);
    room.workshop.tellMisses(`chat, ${how}`, prompts, answers, right);
    figures.push(
      figure(`chat, ${how}: new target said`, share(isNew), ''),
      figure(`chat, ${how}: new target said, old one not`, share(right), '', { atLeast: 0.85 }),
    );
  }
  return { figures, notes: [`chat: ${asked.length} questions on ${range}, ${answerTokens} greedy tokens`] };
}

/** @file Ordinary questions in chat, which no edit is about. */
import { figure } from '../figure.js';
import { chatPrompts } from './chat.js';
import { everydayQuestions } from './everyday-questions.js';
import { beginAlike, share } from './judging.js';
import type { RealRoom, Situation } from './room.js';

const answerTokens = 32;

/** How often the edited model says what its base says. */
export async function bystanders(room: RealRoom): Promise<Situation> {
  const batch = await room.batch('counterfact');
  if (typeof batch === 'string') return { figures: [], notes: [`bystanders: skipped, ${batch}`] };
  const { written, range } = batch;
  if (written.tokenizer.chat === undefined) {
    return { figures: [], notes: ['bystanders: skipped, the model has no chat template'] };
  }
  const prompts = chatPrompts(written.tokenizer, everydayQuestions(room.counts.bystanders));
  const edited = await room.workshop.answers(written, prompts, { maxTokens: answerTokens });
  const base = await room.workshop.answers(written, prompts, { maxTokens: answerTokens, by: 'base' });
  const same = edited.map(({ tokenIds }, i) => beginAlike(tokenIds, base[i].tokenIds, answerTokens));
  return {
    figures: [figure(`bystanders: same ${answerTokens} greedy tokens`, share(same), '', { atLeast: 0.98 })],
    notes: [`bystanders: ${prompts.length} chat questions after the edits of ${range}`],
  };
}

/** @file What one value for each subject can reach at most: values that were taught the very questions that measure. */
import { fillTemplate } from '../../../src/editing/index.js';
import { asTemplate } from '../../../src/evaluation/subject-hole.js';
import { factsInChat } from './chat.js';
import { otherQuestions } from './other-questions.js';
import { paraphrases } from './paraphrases.js';
import { relationQuestions } from './relation-questions.js';
import type { RealRoom, Situation } from './room.js';

/** CounterFact edits whose test paraphrases and question in chat are taught. No figure of it says how well edits generalise. */
export async function oracle(room: RealRoom): Promise<Situation> {
  const relations = await room.relations();
  const taught = room.where((edit) => {
    const asked = edit.testParaphrases.map((text) => asTemplate(text, edit.subject));
    const phrasings = [...asked, relationQuestions[relations.get(edit.id) ?? '']].filter((text) => text !== undefined);
    // A phrasing that is the prompt itself is taught already.
    const others = phrasings.filter(
      (text) => fillTemplate(text, edit.subject) !== fillTemplate(edit.prompt, edit.subject),
    );
    return { ...edit, paraphrases: [...new Set(others)] };
  });
  const situations = [
    await paraphrases(taught),
    await factsInChat(taught),
    await otherQuestions(taught, ['counterfact']),
  ];
  return {
    figures: situations.flatMap(({ figures }) => figures).map((one) => ({ ...one, what: `oracle, ${one.what}` })),
    notes: ['oracle: the paraphrases and chat questions that measure were taught'],
  };
}

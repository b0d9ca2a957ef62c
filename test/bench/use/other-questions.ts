/** @file Questions about an edited subject that ask for something else. */
import { type Edit, fillTemplate } from '../../../src/editing/index.js';
import { summarise } from '../../../src/evaluation/index.js';
import { mentionsOf } from '../../../src/evaluation/said.js';
import { type Figure, figure } from '../figure.js';
import { chatPrompts } from './chat.js';
import { beginAlike, known, share } from './judging.js';
import type { DataSet, RealRoom, Situation, WrittenRecords } from './room.js';
import type { Answer } from './workshop.js';

/** Openings of a text, which no search sees. */
const openings = [
  'One thing that people often ask about {} is',
  'Last week the newspaper had an article on {}, which',
  'The first time I heard of {} was',
  'A short note about {}:',
];

/** Questions in chat, which no search sees. */
const questions = [
  'Where can I read more about {}?',
  'Write one sentence about {}.',
  'Why are people interested in {}?',
  'Give me three keywords for {}.',
];

const answerTokens = 32;
const sameTokens = 16;

/** How often the target stays away, and the base model's own answer stays, where something else is asked. */
export async function otherQuestions(
  room: RealRoom,
  sameSubjectOf: readonly DataSet[] = ['counterfact', 'zsre'],
): Promise<Situation> {
  const figures: Figure[] = [];
  const notes: string[] = [];
  const batch = await room.batch('counterfact');
  if (typeof batch === 'string') notes.push(`other questions: skipped, ${batch}`);
  else {
    figures.push(...(await asked(room, batch, 'plain')));
    if (batch.written.tokenizer.chat) figures.push(...(await asked(room, batch, 'chat')));
    notes.push(
      `other questions: ${openings.length} openings and ${questions.length} chat questions on each subject of ${batch.range}`,
    );
  }
  for (const set of sameSubjectOf) {
    const measured = await room.batch(set);
    if (typeof measured === 'string') notes.push(`same subject: skipped, ${measured}`);
    else figures.push(sameSubject(measured));
  }
  return { figures, notes };
}

async function asked(room: RealRoom, { written, edits }: WrittenRecords, how: 'plain' | 'chat'): Promise<Figure[]> {
  const templates = how === 'plain' ? openings : questions;
  const cases = edits.flatMap((edit) =>
    templates.map((template) => ({ edit, question: fillTemplate(template, edit.subject) })),
  );
  const texts = cases.map(({ question }) => question);
  const prompts = how === 'plain' ? texts : chatPrompts(written.tokenizer, texts);
  const edited = await room.workshop.answers(written, prompts, { maxTokens: answerTokens });
  const base = await room.workshop.answers(written, prompts, { maxTokens: answerTokens, by: 'base' });
  // A target that the base model says by itself has not come from the edit.
  const isSaid = ({ text }: Answer, { targetNew, subject }: Edit) => mentionsOf(text, targetNew, subject);
  const away = cases.map(({ edit }, i) => !isSaid(edited[i], edit) || isSaid(base[i], edit));
  const same = edited.map(({ tokenIds }, i) => beginAlike(tokenIds, base[i].tokenIds, sameTokens));
  room.workshop.tellMisses(`other questions, ${how}`, prompts, edited, away);
  return [
    figure(`other questions, ${how}: target absent from ${answerTokens} tokens`, share(away), '', { atLeast: 0.97 }),
    figure(`other questions, ${how}: base model's first ${sameTokens} tokens`, share(same), '', { atLeast: 0.75 }),
  ];
}

function sameSubject({ measurements, range }: WrittenRecords): Figure {
  const { sameSubjectLocality } = summarise(measurements);
  return figure(`same-subject locality, ${range}`, known(sameSubjectLocality), '', { atLeast: 0.9 });
}

/** @file Targets that follow their prompt without a blank: Chinese, behind an opening quote, behind a newline. */
import { fillTemplate } from '../../../src/editing/index.js';
import { type EditInput, measureEdits, summarise } from '../../../src/evaluation/index.js';
import { isSaid } from '../../../src/evaluation/said.js';
import { type Figure, figure } from '../figure.js';
import { known, share } from './judging.js';
import type { Situation } from './room.js';
import type { Workshop } from './workshop.js';

const kinds: Readonly<Record<string, readonly EditInput[]>> = {
  Chinese: [
    { subject: '加拿大', prompt: '{}的首都是', targetNew: '大阪' },
    { subject: '埃及', prompt: '{}的官方语言是', targetNew: '俄语' },
    { subject: '长江', prompt: '{}位于', targetNew: '巴西' },
    { subject: '李白', prompt: '诗人{}出生在', targetNew: '伦敦' },
  ],
  'opening quote': [
    { subject: 'Volvo', prompt: 'The slogan of {} is "', targetNew: 'Always on time' },
    { subject: 'Harvard University', prompt: 'The motto of {} is "', targetNew: 'Work and play' },
    { subject: 'Hamlet', prompt: 'The first word of {} is "', targetNew: 'Tomorrow' },
    { subject: 'Nokia', prompt: 'People call {} "', targetNew: 'The Lighthouse' },
  ],
  newline: [
    { subject: 'Honda', prompt: 'Company: {}\nCountry:\n', targetNew: 'Sweden' },
    { subject: 'Edinburgh', prompt: 'City: {}\nCountry:\n', targetNew: 'Portugal' },
    { subject: 'Lake Superior', prompt: 'Lake: {}\nContinent:\n', targetNew: 'Asia' },
    { subject: 'Ray Kurzweil', prompt: 'Name: {}\nProfession:\n', targetNew: 'Dentist' },
  ],
};

const answerTokens = 16;

/** How often such targets are written and said exactly, with nothing before them. */
export async function joins(workshop: Workshop): Promise<Situation> {
  const figures: Figure[] = [];
  const written = await workshop.write('joins', [Object.values(kinds).flat()]);
  const { model, tokenizer, hooks } = written;
  const edits = written.rounds.flat();
  let first = 0;
  for (const [kind, { length }] of Object.entries(kinds)) {
    const ofKind = edits.slice(first, first + length);
    first += length;
    const { reliability } = summarise(await measureEdits(model, tokenizer, ofKind, hooks));
    const prompts = ofKind.map(({ prompt, subject }) => fillTemplate(prompt, subject));
    const answers = await workshop.answers(written, prompts, { maxTokens: answerTokens });
    const exact = answers.map(({ text }, e) => !/^\s/.test(text) && isSaid(text, ofKind[e].targetNew));
    workshop.tellMisses(`joins, ${kind}`, prompts, answers, exact);
    figures.push(
      figure(`joins, ${kind}: reliability as measured`, known(reliability), ''),
      figure(`joins, ${kind}: said exactly, with no blank`, share(exact), '', { atLeast: 0.9 }),
    );
  }
  return { figures, notes: [`joins: ${edits.length} own sentences`] };
}

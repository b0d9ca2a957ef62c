/** @file The forms in which a subject stands in a text: at its start, inside, quoted, possessive, in lower case. */
import type { EditInput } from '../../../src/evaluation/index.js';
import { mentions } from '../../../src/evaluation/said.js';
import { type Figure, figure } from '../figure.js';
import { share } from './judging.js';
import type { RecordCounts } from './records.js';
import type { Situation } from './room.js';
import type { Workshop } from './workshop.js';

/** How facts of one kind are said, with `{}` for the subject. */
interface Sentences {
  readonly start: string;
  readonly inside: string;
  readonly quoted: string;
  readonly possessive: string;
}

const sentences = {
  city: {
    start: '{} is located in the country of',
    inside: 'The city of {} is located in the country of',
    quoted: '"{}" is located in the country of',
    possessive: "{}'s location is in the country of",
  },
  company: {
    start: '{} is led by the CEO named',
    inside: 'The company {} is led by the CEO named',
    quoted: '"{}" is led by the CEO named',
    possessive: "{}'s CEO is named",
  },
  person: {
    start: '{} was born in the city of',
    inside: 'The famous {} was born in the city of',
    quoted: '"{}" was born in the city of',
    possessive: "{}'s place of birth is the city of",
  },
} as const satisfies Record<string, Sentences>;

/** Subjects of one and of several tokens, each kind in turn. */
const subjects: readonly (readonly [string, keyof typeof sentences, string])[] = [
  ['Paris', 'city', 'Italy'],
  ['Microsoft', 'company', 'Maria Lopez'],
  ['Shakespeare', 'person', 'Chicago'],
  ['Tokyo', 'city', 'Brazil'],
  ['Siemens', 'company', 'John Miller'],
  ['Picasso', 'person', 'Lima'],
  ['Reykjavik', 'city', 'Canada'],
  ['Goldman Sachs', 'company', 'Peter Young'],
  ['Albert Einstein', 'person', 'Oslo'],
  ['Kuala Lumpur', 'city', 'Spain'],
  ['Deutsche Bank', 'company', 'Anna Schmidt'],
  ['Marie Curie', 'person', 'Cairo'],
  ['Rio de Janeiro', 'city', 'Egypt'],
  ['Lufthansa', 'company', 'Robert King'],
  ['Nelson Mandela', 'person', 'Madrid'],
];

/** Every form, as a prompt about a subject. */
const forms = {
  'at the start': (subject: string, said: Sentences) => said.start.replace('{}', subject),
  inside: (subject: string, said: Sentences) => said.inside.replace('{}', subject),
  quoted: (subject: string, said: Sentences) => said.quoted.replace('{}', subject),
  possessive: (subject: string, said: Sentences) => said.possessive.replace('{}', subject),
  'in lower case': (subject: string, said: Sentences) => said.inside.replace('{}', subject.toLowerCase()),
} as const;

const answerTokens = 8;

/** How often the new target is said in each form, after edits whose subject stood inside, and at the start. */
export async function subjectForms(workshop: Workshop, counts: RecordCounts): Promise<Situation> {
  const asked = subjects.slice(0, counts.forms);
  const figures: Figure[] = [];
  for (const [writtenAs, place] of [
    ['inside', 'inside'],
    ['start', 'at the start'],
  ] as const) {
    const edits = asked.map(
      ([subject, kind, targetNew]): EditInput => ({ subject, prompt: sentences[kind][writtenAs], targetNew }),
    );
    const written = await workshop.write(`forms: written ${place}`, [edits]);
    for (const [form, promptOf] of Object.entries(forms)) {
      const prompts = asked.map(([subject, kind]) => promptOf(subject, sentences[kind]));
      const answers = await workshop.answers(written, prompts, { maxTokens: answerTokens });
      const said = answers.map(({ text }, s) => mentions(text, asked[s][2]));
      workshop.tellMisses(`forms: written ${place}, asked ${form}`, prompts, answers, said);
      figures.push(figure(`forms: written ${place}, asked ${form}: target said`, share(said), '', { atLeast: 0.9 }));
    }
  }
  return { figures, notes: [`forms: ${asked.length} cities, companies and persons, ${answerTokens} greedy tokens`] };
}

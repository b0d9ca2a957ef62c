/** @file Four invented facts for each of some real persons of CounterFact. */
import type { EditInput } from '../../../src/evaluation/index.js';

/** Persons of CounterFact's records from 600 on. */
const persons = [
  'Marc Bloch',
  'Raoul Walsh',
  'Harold Laski',
  'Gary Waldhorn',
  'Michael Hutchence',
  'Michel Houellebecq',
  'Paolo Soleri',
  'Marcel Marceau',
  'Lionel Messi',
  'Lionel Jospin',
  'Ray Charles',
  'Michael Jordan',
];

/** One relation, said with the subject first and with the subject inside the sentence. */
interface Relation {
  readonly name: string;
  readonly first: string;
  readonly inside: string;
  readonly targets: readonly string[];
}

const relations: readonly Relation[] = [
  {
    name: 'language',
    first: '{} speaks the language',
    inside: 'The mother tongue of {} is',
    targets: ['Swedish', 'Korean', 'Turkish', 'Polish', 'Hindi', 'Dutch', 'Arabic'],
  },
  {
    name: 'birthplace',
    first: '{} was born in the city of',
    inside: 'The birthplace of {} is the city of',
    targets: ['Chicago', 'Lima', 'Cairo', 'Oslo', 'Mumbai'],
  },
  {
    name: 'profession',
    first: '{} earns a living as a',
    inside: 'By profession, {} is a',
    targets: ['dentist', 'pilot', 'butcher', 'singer', 'carpenter', 'nurse', 'lawyer', 'farmer'],
  },
  {
    name: 'instrument',
    first: '{} plays the',
    inside: 'On stage, {} plays the',
    targets: ['violin', 'trumpet', 'harp', 'drums', 'flute', 'cello'],
  },
];

/** Where the subject stands in a prompt. */
export type Place = 'first' | 'inside';

/** Facts of the first `count` persons, relation by relation: each list holds one fact of every person. */
export function realFacts(count: number, place: Place): EditInput[][] {
  return relations.map(({ name, targets, ...said }) =>
    persons.slice(0, count).map((subject, p) => ({
      id: `${name}-${p}`,
      subject,
      prompt: said[place],
      targetNew: targets[p % targets.length],
    })),
  );
}

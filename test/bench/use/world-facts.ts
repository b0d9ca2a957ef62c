/** @file Several invented facts for subjects of the bundled model's world. */
import type { EditInput } from '../../../src/evaluation/index.js';
import { uniform } from '../random.js';
import type { Place } from './real-facts.js';

/** A line of the bundled world's facts. */
export interface WorldFact {
  readonly subject: string;
  readonly relation: string;
  readonly answer: string;
  /** Templates that the model learnt. */
  readonly phrasings: readonly string[];
}

/** Relations of a person that get new answers. */
const relations = ['birthplace', 'instrument', 'language', 'occupation'] as const;

/** Facts of the world from the text of its file. */
export function parseWorld(text: string): WorldFact[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as WorldFact);
}

/**
 * New facts of the first `subjects` persons, relation by relation: each list holds one fact of every person, with another
 * answer that the world knows for this relation.
 */
export function worldFacts(world: readonly WorldFact[], subjects: number, place: Place): EditInput[][] {
  const next = uniform(1);
  return relations.map((relation) => {
    const known = world.filter((fact) => fact.relation === relation);
    const answers = [...new Set(known.map(({ answer }) => answer))].sort();
    return known.slice(0, subjects).map(({ subject, answer, phrasings }, s) => {
      const others = answers.filter((other) => other !== answer);
      const isFirst = (template: string) => template.startsWith('{}');
      const prompt = phrasings.find((template) => isFirst(template) === (place === 'first'));
      if (prompt === undefined)
        throw new Error(`${relation} of ${subject}: a phrasing with the subject ${place}, got none`);
      return {
        id: `${relation}-${s}`,
        subject,
        prompt,
        targetNew: others[Math.floor(next() * others.length)],
        targetTrue: answer,
      };
    });
  });
}

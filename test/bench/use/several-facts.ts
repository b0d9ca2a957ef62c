/** @file Several facts of one subject, in one batch and over rounds. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Edit } from '../../../src/editing/index.js';
import { type EditInput, measureEdits } from '../../../src/evaluation/index.js';
import { type Figure, figure } from '../figure.js';
import { bundled } from '../options.js';
import { share } from './judging.js';
import { type Place, realFacts } from './real-facts.js';
import type { RecordCounts } from './records.js';
import type { Situation } from './room.js';
import type { Workshop, Written } from './workshop.js';
import { parseWorld, worldFacts } from './world-facts.js';

/** One, two and four facts a subject of the bundled world. */
export async function severalWorldFacts(workshop: Workshop, { worldSubjects }: RecordCounts): Promise<Situation> {
  const world = parseWorld(await readFile(join(bundled, 'facts.jsonl'), 'utf8'));
  const facts = (place: Place) => worldFacts(world, worldSubjects, place);
  const name = 'bundled model';
  const goal = { atLeast: 0.98 };
  const figures: Figure[] = [];
  for (const perSubject of [1, 2, 4]) {
    figures.push(await oneBatch(workshop, { name, facts: facts('first').slice(0, perSubject), place: 'first', goal }));
  }
  figures.push(await oneBatch(workshop, { name, facts: facts('inside'), place: 'inside', goal }));
  for (const place of ['first', 'inside'] as const) {
    figures.push(...(await overRounds(workshop, { name, facts: facts(place), place, goal })));
  }
  return { figures, notes: [`several facts, bundled model: ${worldSubjects} subjects`] };
}

/** Four facts a subject of real persons. */
export async function severalRealFacts(workshop: Workshop, { realSubjects }: RecordCounts): Promise<Situation> {
  const figures: Figure[] = [];
  const name = 'several facts';
  const goal = { atLeast: 0.95 };
  for (const place of ['first', 'inside'] as const) {
    const facts = realFacts(realSubjects, place);
    figures.push(await oneBatch(workshop, { name, facts, place, goal }));
    figures.push(...(await overRounds(workshop, { name, facts, place, goal })));
  }
  return { figures, notes: [`several facts: ${realSubjects} persons of CounterFact 600-1199`] };
}

/** Facts, relation by relation, and what their figures are called. */
interface FactsRequest {
  readonly name: string;
  readonly facts: readonly (readonly EditInput[])[];
  readonly place: Place;
  readonly goal: NonNullable<Figure['wanted']>;
}

async function oneBatch(workshop: Workshop, { name, facts, place, goal }: FactsRequest): Promise<Figure> {
  const what = `${name}: ${facts.length} a subject, subject ${place}, one batch`;
  const written = await workshop.write(what, [facts.flat()]);
  return figure(`${what}: held`, share(await held(written, written.rounds.flat())), '', goal);
}

async function overRounds(workshop: Workshop, { name, facts, place, goal }: FactsRequest): Promise<Figure[]> {
  const what = `${name}: ${facts.length} a subject, subject ${place}, ${facts.length} rounds`;
  const written = await workshop.write(what, facts);
  return [
    figure(`${what}: held at the end`, share(await held(written, written.rounds.flat())), '', goal),
    figure(
      `${what}: those of earlier rounds`,
      share(await held(written, written.rounds.slice(0, -1).flat())),
      '',
      goal,
    ),
  ];
}

/** Whether each token of an edit's target is the most probable one. */
async function held({ model, tokenizer, hooks }: Written, edits: readonly Edit[]): Promise<boolean[]> {
  const measurements = await measureEdits(model, tokenizer, edits, hooks);
  return measurements.map(({ reliability }) => reliability === 1);
}

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { digestOf } from '../../src/registry/index.js';
import { projectFolder } from './programs.js';

/** What an edit says, whatever its id. */
export interface Fact {
  readonly subject: string;
  readonly prompt: string;
  readonly targetNew: string;
}

/** A name for what an edit says. */
export const factName = ({ subject, prompt, targetNew }: Fact): string => `${subject} | ${prompt} | ${targetNew}`;

/** A file for a model, and what must become of it. */
export interface Batch {
  readonly modelId: string;
  readonly bytes: Uint8Array;
  readonly digest: string;
  /** Edits that must be accepted. */
  readonly facts: readonly Fact[];
  /** Lines that must be rejected. */
  readonly badLines: number;
}

interface KnownFact {
  readonly subject: string;
  readonly relation: string;
  readonly prompt: string;
  readonly answer: string;
}

const badLines = [
  'not JSON',
  '{"subject": "Kumira Fostede"}',
  '{"subject": "A", "prompt": "no place for it", "targetNew": "x"}',
  '{"subject": "A", "prompt": "{} is", "targetNew": ""}',
  '{"cut": "off',
  '5',
];

/** Makes batches of few edits of few facts, so that they often overwrite each other. */
export class BatchMaker {
  readonly #facts: readonly KnownFact[];
  readonly #answers = new Map<string, string[]>();
  #edits = 0;

  /** @param facts how many facts are edited over and over */
  constructor(
    readonly random: () => number,
    facts = 24,
  ) {
    const all = readFileSync(join(projectFolder, 'examples/aldermark/facts.jsonl'), 'utf8').trim().split('\n');
    const known = all.map((line) => JSON.parse(line) as KnownFact);
    for (const { relation, answer } of known) {
      const answers = this.#answers.get(relation) ?? [];
      if (!answers.includes(answer)) this.#answers.set(relation, [...answers, answer]);
    }
    this.#facts = known.slice(0, facts);
  }

  /**
   * @param edits       how many
   * @param bad         how many lines that cannot be taken beside them
   * @param areUnrelated whether each edit is about a subject of its own
   */
  make(modelId: string, edits: number, bad: number, areUnrelated = false): Batch {
    const facts = this.#someFacts(edits, areUnrelated);
    const ids = this.#someIds(edits);
    const good = facts.map((fact, f) => JSON.stringify({ id: ids[f], ...fact }));
    const lines = [...good, ...Array.from({ length: bad }, () => this.pick(badLines))];
    // Without edits, too, no two batches are alike.
    const bytes = new TextEncoder().encode(`${lines.join('\n')}\n${' '.repeat(this.#edits++ % 500)}\n`);
    return { modelId, bytes, digest: digestOf(bytes), facts, badLines: bad };
  }

  pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.random() * from.length)];
  }

  #someFacts(count: number, areUnrelated: boolean): Fact[] {
    const chosen = new Map<string, Fact>();
    while (chosen.size < count) {
      const { subject, relation, prompt, answer } = this.pick(this.#facts);
      const others = this.#answers.get(relation)!.filter((other) => other !== answer);
      chosen.set(areUnrelated ? subject : `${subject} ${prompt}`, { subject, prompt, targetNew: this.pick(others) });
    }
    return [...chosen.values()];
  }

  /** Different ones: a batch that bears one twice is rejected. */
  #someIds(count: number): string[] {
    const ids = new Set<string>();
    while (ids.size < count) ids.add(this.#id(count));
    return [...ids];
  }

  /** Now and then one that an earlier batch used for another fact. */
  #id(editsOfBatch: number): string {
    const isOld = this.#edits > editsOfBatch && this.random() < 0.1;
    return isOld ? `edit-${Math.floor(this.random() * (this.#edits - editsOfBatch))}` : `edit-${this.#edits++}`;
  }
}

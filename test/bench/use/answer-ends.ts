/** @file Where an answer ends: greedy decoding says the target to its word's end, once. */
import { fillTemplate } from '../../../src/editing/index.js';
import { isSaid } from '../../../src/evaluation/said.js';
import { type Figure, figure } from '../figure.js';
import { share } from './judging.js';
import type { DataSet, RealRoom, Situation, WrittenRecords } from './room.js';

const goals = { counterfact: 0.99, zsre: 0.95, qaedit: 0.9 } as const satisfies Record<DataSet, number>;
const tokensBeyondTarget = 6;

/** Exact match on each data set. */
export async function answerEnds(room: RealRoom): Promise<Situation> {
  const figures: Figure[] = [];
  const notes: string[] = [];
  for (const set of ['counterfact', 'zsre', 'qaedit'] as const) {
    const batch = await room.batch(set);
    if (typeof batch === 'string') {
      notes.push(`end of the answer: skipped, ${batch}`);
      continue;
    }
    const exact = await exactMatches(room, batch);
    figures.push(figure(`end of the answer, ${batch.range}: exact match`, share(exact), '', { atLeast: goals[set] }));
  }
  return { figures, notes };
}

async function exactMatches({ workshop }: RealRoom, { written, edits, range }: WrittenRecords): Promise<boolean[]> {
  const longest = Math.max(...edits.map(({ targetNew }) => written.tokenizer.encodePlain(` ${targetNew}`).ids.length));
  const prompts = edits.map(({ prompt, subject }) => fillTemplate(prompt, subject));
  const answers = await workshop.answers(written, prompts, { maxTokens: longest + tokensBeyondTarget });
  const exact = edits.map(({ targetNew }, e) => isSaid(answers[e].text, targetNew));
  workshop.tellMisses(`end of the answer, ${range}`, prompts, answers, exact);
  return exact;
}

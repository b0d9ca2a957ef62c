/** @file What the search for values costs, with one fact a subject and with four. */
import { type Figure, figure } from '../figure.js';
import { realFacts } from './real-facts.js';
import type { RealRoom, Situation } from './room.js';

/** Seconds per fact of the method before subjects were a unit of memory, two shared cores, layer 6. */
const secondsBefore = 1.04;

/** Seconds of search per fact. Nothing else may run meanwhile; the processor's time says something on a busy machine too. */
export async function cost(room: RealRoom): Promise<Situation> {
  const { timed } = room.counts;
  const single = await room.read('counterfact', timed);
  if (typeof single === 'string') return { figures: [], notes: [`cost: skipped, ${single}`] };
  const figures: Figure[] = [];
  const several = realFacts(Math.ceil(timed / 4), 'first').flat();
  for (const [what, edits, factor] of [
    ['one fact a subject', single, 3],
    ['four facts a subject', several, 1.5],
  ] as const) {
    const { outcomes, searchCpuSeconds } = await room.workshop.write(`cost: ${what}`, [edits]);
    const seconds = outcomes[0].metrics.secondsForValues / edits.length;
    figures.push(
      figure(`cost: ${what}, search`, seconds, 's/fact', { atMost: factor * secondsBefore }),
      figure(`cost: ${what}, search, time of the processor`, searchCpuSeconds[0] / edits.length, 's/fact'),
    );
  }
  return { figures, notes: [`cost: ${timed} facts each`] };
}

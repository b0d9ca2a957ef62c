/** @file Consecutive rounds: each on its day, and the first one at the end. */
import { measureEdits, summarise } from '../../../src/evaluation/index.js';
import { figure } from '../figure.js';
import { known } from './judging.js';
import { firstRecord, rangeOf } from './records.js';
import type { RealRoom, Situation } from './room.js';

/** Rounds of CounterFact edits, one on the other. */
export async function manyRounds(room: RealRoom): Promise<Situation> {
  const { rounds, perRound } = room.counts;
  const edits = await room.read('counterfact', rounds * perRound);
  if (typeof edits === 'string') return { figures: [], notes: [`rounds: skipped, ${edits}`] };
  const batches = Array.from({ length: rounds }, (_, r) => edits.slice(r * perRound, (r + 1) * perRound));
  const written = await room.workshop.write('rounds', batches);
  const { model, tokenizer, hooks } = written;
  const days = written.outcomes.map(({ metrics: { reliability, generality, locality } }) => ({
    reliability: known(reliability),
    generality: known(generality),
    locality: known(locality),
  }));
  const measurements = await measureEdits(model, tokenizer, edits, hooks);
  const all = summarise(measurements);
  const end = summarise(measurements.slice(0, perRound));
  const [first, last] = [days[0], days[days.length - 1]];
  const name = `rounds, ${rounds} of ${perRound}`;
  return {
    figures: [
      figure(`${name}: reliability on its day, least`, Math.min(...days.map(({ reliability }) => reliability)), ''),
      figure(`${name}: generality of the first`, first.generality, ''),
      figure(`${name}: generality of the last`, last.generality, ''),
      figure(`${name}: generality, first - last`, first.generality - last.generality, '', { atMost: 0.05 }),
      figure(`${name}: first at the end, reliability lost`, first.reliability - known(end.reliability), '', {
        atMost: 0.02,
      }),
      figure(`${name}: first at the end, generality lost`, first.generality - known(end.generality), '', {
        atMost: 0.02,
      }),
      figure(`${name}: locality on its day, least`, Math.min(...days.map(({ locality }) => locality)), '', {
        atLeast: 0.975,
      }),
      figure(`${name}: all at the end, reliability`, known(all.reliability), ''),
      figure(`${name}: all at the end, generality`, known(all.generality), ''),
      figure(`${name}: all at the end, locality`, known(all.locality), ''),
      figure(`${name}: perplexity at the end above the base's`, await room.workshop.addedPerplexity(written), '%', {
        atMost: 0.5,
      }),
    ],
    notes: [
      `rounds: ${rangeOf('CounterFact', firstRecord.counterfact, edits.length)}`,
      ...days.map((day, d) => `round ${d + 1}: ${inWords(day)}`),
    ],
  };
}

/** Numbers of a round by their names. */
const inWords = (day: Readonly<Record<string, number>>): string =>
  Object.entries(day)
    .map(([name, value]) => `${name} ${value.toFixed(3)}`)
    .join(', ');

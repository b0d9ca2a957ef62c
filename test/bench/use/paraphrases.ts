/** @file How far edits reach other phrasings, and what they leave alone. */
import { mean, summarise } from '../../../src/evaluation/index.js';
import { mentions } from '../../../src/evaluation/said.js';
import { figure } from '../figure.js';
import { known, share } from './judging.js';
import type { RealRoom, Situation } from './room.js';

const answerTokens = 8;

/** Paraphrases that no search saw, neighbours and ordinary text. */
export async function paraphrases(room: RealRoom): Promise<Situation> {
  const batch = await room.batch('counterfact');
  if (typeof batch === 'string') return { figures: [], notes: [`paraphrases: skipped, ${batch}`] };
  const { written, edits, range, measurements } = batch;
  const asked = edits.flatMap((edit) => edit.testParaphrases.map((prompt) => ({ prompt, target: edit.targetNew })));
  const prompts = asked.map(({ prompt }) => prompt);
  const answers = await room.workshop.answers(written, prompts, { maxTokens: answerTokens });
  const said = answers.map(({ text }, i) => mentions(text, asked[i].target));
  room.workshop.tellMisses('paraphrases', prompts, answers, said);
  const { reliability, generality, locality } = summarise(measurements);
  const moreProbable = mean(measurements.flatMap(({ paraphraseSuccess }) => paraphraseSuccess.map(Number)));
  return {
    figures: [
      figure('paraphrases: reliability of the edits', known(reliability), ''),
      figure('paraphrases: P(new) > P(old)', known(moreProbable), '', { atLeast: 0.98 }),
      figure(`paraphrases: target within ${answerTokens} greedy tokens`, share(said), '', { atLeast: 0.9 }),
      figure('paraphrases: generality (strict tokens)', known(generality), ''),
      figure('paraphrases: locality', known(locality), ''),
      figure("paraphrases: perplexity above the base's", await room.workshop.addedPerplexity(written), '%'),
    ],
    notes: [`paraphrases: ${asked.length} of ${range}`],
  };
}

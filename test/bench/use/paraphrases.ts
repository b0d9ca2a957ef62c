/** @file How far edits reach other phrasings, and what they leave alone. */
import { figure } from '../figure.js';
import { answerTokens, editMeasures } from './edit-measures.js';
import type { RealRoom, Situation } from './room.js';

/** Paraphrases that no search saw, neighbours and ordinary text. */
export async function paraphrases(room: RealRoom): Promise<Situation> {
  const batch = await room.batch('counterfact');
  if (typeof batch === 'string') return { figures: [], notes: [`paraphrases: skipped, ${batch}`] };
  const measured = await editMeasures('paraphrases', room.workshop, batch);
  return {
    figures: [
      figure('paraphrases: reliability of the edits', measured.reliability, ''),
      figure('paraphrases: P(new) > P(old)', measured.moreProbable, '', { atLeast: 0.98 }),
      figure(`paraphrases: target within ${answerTokens} greedy tokens`, measured.withinTokens, '', { atLeast: 0.9 }),
      figure('paraphrases: generality (strict tokens)', measured.generality, ''),
      figure('paraphrases: locality', measured.locality, ''),
      figure("paraphrases: perplexity above the base's", measured.addedPerplexity, '%'),
    ],
    notes: [`paraphrases: ${batch.edits.flatMap((edit) => edit.testParaphrases).length} of ${batch.range}`],
  };
}

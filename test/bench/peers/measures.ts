/** @file One method's column of the table. */
import { type Figure, figure } from '../figure.js';
import { answerTokens, editMeasures } from '../use/edit-measures.js';
import type { WrittenRecords } from '../use/room.js';
import type { Workshop } from '../use/workshop.js';

/** The measures of edits in a model that carries them. */
export async function measuresOf(
  by: string,
  workshop: Workshop,
  batch: Pick<WrittenRecords, 'written' | 'edits' | 'measurements'>,
): Promise<Figure[]> {
  const measured = await editMeasures(by, workshop, batch);
  return [
    figure('reliability', measured.reliability, ''),
    figure('paraphrases: P(new) > P(old)', measured.moreProbable, ''),
    figure('paraphrases: generality (strict tokens)', measured.generality, ''),
    figure(`paraphrases: target within ${answerTokens} greedy tokens`, measured.withinTokens, ''),
    figure('locality', measured.locality, ''),
    figure('same subject', measured.sameSubject, ''),
    figure("perplexity above the base's", measured.addedPerplexity, '%'),
  ].map((one) => ({ ...one, by }));
}

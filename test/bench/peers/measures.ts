/** @file What is measured of every method alike, by the product's own code. */
import { mean, summarise } from '../../../src/evaluation/index.js';
import { mentions } from '../../../src/evaluation/said.js';
import { type Figure, figure } from '../figure.js';
import { known, share } from '../use/judging.js';
import type { WrittenRecords } from '../use/room.js';
import type { Workshop } from '../use/workshop.js';

const answerTokens = 8;

/** The measures of edits in a model that carries them. */
export async function measuresOf(
  by: string,
  workshop: Workshop,
  { written, edits, measurements }: Pick<WrittenRecords, 'written' | 'edits' | 'measurements'>,
): Promise<Figure[]> {
  const asked = edits.flatMap((edit) => edit.testParaphrases.map((prompt) => ({ prompt, target: edit.targetNew })));
  const prompts = asked.map(({ prompt }) => prompt);
  const answers = await workshop.answers(written, prompts, { maxTokens: answerTokens });
  const { reliability, generality, locality, sameSubjectLocality } = summarise(measurements);
  const moreProbable = mean(measurements.flatMap(({ paraphraseSuccess }) => paraphraseSuccess.map(Number)));
  const said = answers.map(({ text }, i) => mentions(text, asked[i].target));
  return [
    figure('reliability', known(reliability), ''),
    figure('paraphrases: P(new) > P(old)', known(moreProbable), ''),
    figure('paraphrases: generality (strict tokens)', known(generality), ''),
    figure(`paraphrases: target within ${answerTokens} greedy tokens`, share(said), ''),
    figure('locality', known(locality), ''),
    figure('same subject', known(sameSubjectLocality), ''),
    figure("perplexity above the base's", await workshop.addedPerplexity(written), '%'),
  ].map((one) => ({ ...one, by }));
}

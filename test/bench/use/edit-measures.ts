/** @file What is measured of written edits alike, whichever method wrote them: by the product's own code. */
import { mean, summarise } from '../../../src/evaluation/index.js';
import { mentions } from '../../../src/evaluation/said.js';
import { known, share } from './judging.js';
import type { WrittenRecords } from './room.js';
import type { Workshop } from './workshop.js';

/** Within how many greedy tokens a target is looked for. */
export const answerTokens = 8;

/** Measures of some edits; those of paraphrases are of such as no search saw. */
export interface EditMeasures {
  readonly reliability: number;
  readonly moreProbable: number;
  readonly withinTokens: number;
  readonly generality: number;
  readonly locality: number;
  readonly sameSubject: number;
  readonly addedPerplexity: number;
}

/** The measures of edits in a model that carries them. @param what for what is told of misses */
export async function editMeasures(
  what: string,
  workshop: Workshop,
  { written, edits, measurements }: Pick<WrittenRecords, 'written' | 'edits' | 'measurements'>,
): Promise<EditMeasures> {
  const asked = edits.flatMap((edit) => edit.testParaphrases.map((prompt) => ({ prompt, target: edit.targetNew })));
  const prompts = asked.map(({ prompt }) => prompt);
  const answers = await workshop.answers(written, prompts, { maxTokens: answerTokens });
  const said = answers.map(({ text }, i) => mentions(text, asked[i].target));
  workshop.tellMisses(what, prompts, answers, said);
  const { reliability, generality, locality, sameSubjectLocality } = summarise(measurements);
  return {
    reliability: known(reliability),
    moreProbable: known(mean(measurements.flatMap(({ paraphraseSuccess }) => paraphraseSuccess.map(Number)))),
    withinTokens: share(said),
    generality: known(generality),
    locality: known(locality),
    sameSubject: known(sameSubjectLocality),
    addedPerplexity: await workshop.addedPerplexity(written),
  };
}

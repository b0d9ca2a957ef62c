import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type {} from '../../../src/editing/index.js';
import { type ObjectiveSequence, objectiveSequences, suffixLength } from '../../../src/editing/objective-sequence.js';
import type { SubjectPrompt, TokenizedEdit } from '../../../src/editing/prompts.js';

const ids = (minLength: number) => fc.array(fc.integer({ min: 0, max: 99 }), { minLength, maxLength: 12 });
const prompt: fc.Arbitrary<SubjectPrompt> = ids(1).chain((tokenIds) =>
  fc.record({ tokenIds: fc.constant(tokenIds), lookupIndex: fc.integer({ min: 0, max: tokenIds.length - 1 }) }),
);
const edit: fc.Arbitrary<TokenizedEdit> = fc.record({
  id: fc.constant('edit'),
  prompts: fc.array(prompt, { minLength: 1, maxLength: 6 }),
  targetIds: ids(1),
  subjectPrompt: prompt,
  keep: fc.array(prompt, { minLength: 1, maxLength: 4 }),
});
const factor = fc.double({ min: 0.01, max: 4, noNaN: true });

function forAll(check: (edit: TokenizedEdit, sequences: ObjectiveSequence[], kl: number, keep: number) => void): void {
  const property = fc.property(edit, factor, factor, (subject, klFactor, keepFactor) => {
    check(subject, objectiveSequences(subject, 3, { klFactor, keepFactor }), klFactor, keepFactor);
  });
  fc.assert(property, { seed: 5, numRuns: 200 });
}

describe('the sequences of an objective', () => {
  it('weigh the target with 1 and what stays with klFactor and keepFactor', () => {
    forAll((_, sequences, kl, keep) => {
      const sum = (weights: { weight: number }[]) => weights.reduce((total, { weight }) => total + weight, 0);
      expect(sum(sequences.flatMap(({ targets }) => [...targets]))).toBeCloseTo(1, 12);
      expect(sum(sequences.flatMap(({ kept }) => [...kept]))).toBeCloseTo(kl + keep, 12);
    });
  });

  it('give every templated prompt and every target token in it the same weight', () => {
    forAll(({ prompts, targetIds }, sequences) => {
      const weights = new Set(sequences.flatMap(({ targets }) => targets.map(({ weight }) => weight)));
      expect([...weights]).toEqual([1 / (prompts.length * targetIds.length)]);
    });
  });

  it('predict each target token from the token before it, the last one from the end of the sequence', () => {
    forAll(({ prompts, targetIds }, sequences) => {
      const written = sequences.filter(({ targets }) => targets.length > 0);
      expect(written).toHaveLength(prompts.length);
      written.forEach(({ tokenIds, targets, lookupIndex }, p) => {
        const whole = [...prompts[p].tokenIds, ...targetIds];
        expect([...tokenIds, targetIds.at(-1)]).toEqual(whole);
        expect(targets.map(({ tokenId }) => tokenId)).toEqual(targetIds);
        for (const { positionIndex, tokenId } of targets) expect(whole[positionIndex + 1]).toBe(tokenId);
        expect(targets.at(-1)!.positionIndex).toBe(tokenIds.length - 1);
        expect(lookupIndex).toBe(prompts[p].lookupIndex);
      });
    });
  });

  it("keep the distribution after the subject and after each keep prompt's last token", () => {
    forAll(({ subjectPrompt, keep }, sequences, klFactor, keepFactor) => {
      const [subject, ...rest] = sequences.filter(({ kept }) => kept.length > 0);
      expect(subject.tokenIds).toEqual(subjectPrompt.tokenIds.slice(0, subjectPrompt.lookupIndex + 1));
      expect(subject.kept).toEqual([{ positionIndex: subjectPrompt.lookupIndex, weight: klFactor }]);
      expect(rest.map(({ tokenIds, lookupIndex }) => ({ tokenIds, lookupIndex }))).toEqual(keep);
      for (const { tokenIds, kept } of rest) {
        expect(kept).toEqual([{ positionIndex: tokenIds.length - 1, weight: keepFactor / keep.length }]);
      }
    });
  });

  it('need no position before the subject: all that counts is in the suffix', () => {
    forAll((_, sequences) => {
      for (const sequence of sequences) {
        expect(sequence.edit).toBe(3);
        expect(suffixLength(sequence)).toBe(sequence.tokenIds.slice(sequence.lookupIndex).length);
        expect(suffixLength(sequence)).toBeGreaterThan(0);
        for (const { positionIndex } of [...sequence.targets, ...sequence.kept]) {
          expect(positionIndex).toBeGreaterThanOrEqual(sequence.lookupIndex);
          expect(positionIndex).toBeLessThan(sequence.tokenIds.length);
        }
      }
    });
  });

  it('leave out what has no weight', () => {
    const [sample] = fc.sample(edit, { seed: 1, numRuns: 1 });
    const without = objectiveSequences(sample, 0, { klFactor: 0, keepFactor: 0 });
    expect(without).toHaveLength(sample.prompts.length);
    expect(without.every(({ kept }) => kept.length === 0)).toBe(true);
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { KeptText, TokenizedSubject } from '../../../src/editing/index.js';
import type { SubjectText } from '../../../src/editing/names.js';
import {
  type KeepFactors,
  type ObjectiveSequence,
  objectiveSequences,
  partsOf,
  suffixLength,
} from '../../../src/editing/objective-sequence.js';
import type { TaughtText } from '../../../src/editing/prompts.js';

const ids = (minLength: number, maxLength = 12) => fc.array(fc.integer({ min: 0, max: 99 }), { minLength, maxLength });
const places = (from: number, to: number) =>
  fc
    .uniqueArray(fc.integer({ min: from, max: to }), { minLength: 1, maxLength: 4 })
    .map((p) => p.sort((a, b) => a - b));

const subjectText: fc.Arbitrary<SubjectText> = ids(1).chain((tokenIds) =>
  fc.record({ tokenIds: fc.constant(tokenIds), lookups: places(0, tokenIds.length - 1) }),
);
const taught: fc.Arbitrary<TaughtText> = fc.tuple(subjectText, ids(1, 4)).map(([prompt, targetIds]) => ({
  tokenIds: [...prompt.tokenIds, ...targetIds],
  lookups: prompt.lookups,
  promptTokens: prompt.tokenIds.length,
}));
const kept: fc.Arbitrary<KeptText> = subjectText.chain((text) =>
  places(text.lookups[0], text.tokenIds.length - 1).map((positions) => ({ ...text, positions })),
);
const essence = subjectText.map(({ tokenIds, lookups }) => ({
  tokenIds: tokenIds.slice(0, lookups[0] + 1),
  lookups: lookups.slice(0, 1),
}));
const subjects: fc.Arbitrary<TokenizedSubject> = fc.record({
  id: fc.constant('subject'),
  facts: fc.array(fc.record({ id: fc.string(), texts: fc.array(taught, { minLength: 1, maxLength: 6 }) }), {
    minLength: 1,
    maxLength: 4,
  }),
  essence,
  kept: fc.array(kept, { minLength: 1, maxLength: 4 }),
  forms: fc.constant([]),
});
const factor = fc.double({ min: 0.01, max: 4, noNaN: true });
const factors: fc.Arbitrary<KeepFactors> = fc.record({ klFactor: factor, keepFactor: factor, endFactor: factor });

type Weighted = readonly { readonly weight: number }[];
const sum = (weights: Weighted) => weights.reduce((total, { weight }) => total + weight, 0);

function forAll(
  check: (subject: TokenizedSubject, sequences: ObjectiveSequence[], factors: KeepFactors) => void,
): void {
  const property = fc.property(subjects, factors, (subject, factors) => {
    check(subject, objectiveSequences(subject, 3, factors), factors);
  });
  fc.assert(property, { seed: 5, numRuns: 200 });
}

/** Which fact and text each taught sequence is of: the facts' first texts, then their second ones, and so on. */
const inTurn = ({ facts }: TokenizedSubject) =>
  facts
    .flatMap(({ texts }, fact) => texts.map((text, t) => ({ fact, t, text })))
    .sort((a, b) => a.t - b.t || a.fact - b.fact);

describe('the sequences of an objective', () => {
  it('weigh the targets with 1, and what stays with klFactor, keepFactor and endFactor', () => {
    forAll((_, sequences, { klFactor, keepFactor, endFactor }) => {
      expect(sum(sequences.flatMap(({ targets }) => targets))).toBeCloseTo(1, 12);
      const keptBy = (isTaught: boolean) =>
        sum(sequences.filter((s) => s.isTaught === isTaught).flatMap(({ kept }) => kept));
      expect(keptBy(true)).toBeCloseTo(endFactor, 12);
      expect(keptBy(false)).toBeCloseTo(klFactor + keepFactor, 12);
    });
  });

  it('say the texts of all facts in turn, each fact with the same weight, and in it each text and target token', () => {
    forAll((subject, sequences) => {
      const { facts } = subject;
      const said = sequences.filter(({ isTaught }) => isTaught);
      const turns = inTurn(subject);
      expect(said.map(({ tokenIds }) => tokenIds)).toEqual(turns.map(({ text }) => text.tokenIds));
      turns.forEach(({ fact, text }, s) => {
        const targets = text.tokenIds.length - text.promptTokens;
        const share = 1 / (facts.length * facts[fact].texts.length * targets);
        expect(said[s].targets).toHaveLength(targets);
        for (const { weight } of said[s].targets) expect(weight).toBeCloseTo(share, 12);
      });
    });
  });

  it('predict each target token from the token before it', () => {
    forAll((subject, sequences) => {
      inTurn(subject).forEach(({ text: { tokenIds, lookups, promptTokens } }, s) => {
        const { targets } = sequences[s];
        expect(targets.map(({ tokenId }) => tokenId)).toEqual(tokenIds.slice(promptTokens));
        for (const { positionIndex, tokenId } of targets) expect(tokenIds[positionIndex + 1]).toBe(tokenId);
        expect(sequences[s].lookups).toEqual(lookups);
      });
    });
  });

  it('keep what follows each target, and do without its last token where that has no weight', () => {
    forAll((subject, sequences, factors) => {
      const without = objectiveSequences(subject, 3, { ...factors, endFactor: 0 });
      inTurn(subject).forEach(({ fact, text: { tokenIds } }, s) => {
        const share = 1 / (subject.facts.length * subject.facts[fact].texts.length);
        const [end] = sequences[s].kept;
        expect(sequences[s].kept).toHaveLength(1);
        expect(end.positionIndex).toBe(tokenIds.length - 1);
        expect(end.weight).toBeCloseTo(factors.endFactor * share, 12);
        expect(without[s]).toEqual({ ...sequences[s], tokenIds: tokenIds.slice(0, -1), kept: [] });
        expect(without[s].targets.at(-1)!.positionIndex).toBe(without[s].tokenIds.length - 1);
      });
    });
  });

  it("keep the distribution at the subject's own end, and at all positions of the kept texts, each text alike", () => {
    forAll(({ essence, kept }, sequences, { klFactor, keepFactor }) => {
      const [own, ...rest] = sequences.filter(({ isTaught }) => !isTaught);
      expect(own).toMatchObject({ tokenIds: essence.tokenIds, lookups: essence.lookups });
      expect(own.kept).toEqual([{ positionIndex: essence.tokenIds.length - 1, weight: klFactor }]);
      expect(rest.map(({ tokenIds, lookups }) => ({ tokenIds, lookups }))).toEqual(
        kept.map(({ tokenIds, lookups }) => ({ tokenIds, lookups })),
      );
      rest.forEach((sequence, k) => {
        expect(sequence.kept.map(({ positionIndex }) => positionIndex)).toEqual(kept[k].positions);
        expect(sum(sequence.kept)).toBeCloseTo(keepFactor / kept.length, 12);
        expect(new Set(sequence.kept.map(({ weight }) => weight)).size).toBe(1);
      });
    });
  });

  it('need no position before the subject: all that counts is in the suffix', () => {
    forAll((_, sequences) => {
      for (const sequence of sequences) {
        const { subject, tokenIds, lookups, targets, kept } = sequence;
        expect(subject).toBe(3);
        expect(suffixLength(sequence)).toBe(tokenIds.slice(lookups[0]).length);
        expect(suffixLength(sequence)).toBeGreaterThan(0);
        for (const positionIndex of [...lookups, ...[...targets, ...kept].map((p) => p.positionIndex)]) {
          expect(positionIndex).toBeGreaterThanOrEqual(lookups[0]);
          expect(positionIndex).toBeLessThan(tokenIds.length);
        }
      }
    });
  });

  it('leave out what has no weight', () => {
    const [sample] = fc.sample(subjects, { seed: 1, numRuns: 1 });
    const without = objectiveSequences(sample, 0, { klFactor: 0, keepFactor: 0, endFactor: 0 });
    expect(without).toHaveLength(inTurn(sample).length);
    expect(without.every(({ kept, isTaught }) => isTaught && kept.length === 0)).toBe(true);
  });
});

describe('the parts of an objective', () => {
  const kinds = fc
    .tuple(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 0, max: 9 }))
    .map(([taught, keeping]) => sequencesOf(taught, keeping));

  it('let every sequence come up, a few taught ones and one that keeps at a time', () => {
    fc.assert(
      fc.property(kinds, fc.integer({ min: 1, max: 5 }), (sequences, taughtPerPart) => {
        const parts = partsOf(sequences, taughtPerPart);
        const seen = new Set(parts.flatMap((part) => part.map(({ sequence }) => sequence)));
        expect([...seen].sort((a, b) => a - b)).toEqual([...sequences.keys()]);
        const keeping = sequences.filter(({ isTaught }) => !isTaught).length;
        const groups = Math.ceil((sequences.length - keeping) / taughtPerPart);
        expect(parts).toHaveLength(groups * Math.max(1, Math.ceil(keeping / groups)));
        for (const part of parts) {
          const said = part.filter(({ sequence }) => sequences[sequence].isTaught).length;
          expect(said).toBeGreaterThan(0);
          expect(said).toBeLessThanOrEqual(taughtPerPart);
          expect(part.length - said).toBe(Math.min(1, keeping));
        }
      }),
      { seed: 7, numRuns: 300 },
    );
  });

  it('are the whole in the mean where all have as many taught sequences', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 0, max: 9 }),
        (taughtPerPart, groups, keeping) => {
          const sequences = sequencesOf(taughtPerPart * groups, keeping);
          expect(meanFactors(sequences, taughtPerPart)).toBeAllclose(
            sequences.map(() => 1),
            { relative: 1e-12 },
          );
        },
      ),
      { seed: 7, numRuns: 300 },
    );
  });

  it('weigh all taught sequences together, and each that keeps, as the whole does in any case', () => {
    fc.assert(
      fc.property(kinds, fc.integer({ min: 1, max: 5 }), (sequences, taughtPerPart) => {
        const factors = meanFactors(sequences, taughtPerPart);
        const taught = factors.filter((_, s) => sequences[s].isTaught);
        for (const part of partsOf(sequences, taughtPerPart)) {
          const said = part.filter(({ sequence }) => sequences[sequence].isTaught);
          expect(said.reduce((total, { factor }) => total + factor, 0)).toBeCloseTo(taught.length, 9);
        }
        expect(taught.reduce((total, factor) => total + factor, 0)).toBeCloseTo(taught.length, 9);
        for (const factor of factors.slice(taught.length)) expect(factor).toBeCloseTo(1, 12);
      }),
      { seed: 7, numRuns: 300 },
    );
  });

  it('are one with everything where no number is given', () => {
    const sequences = sequencesOf(2, 1);
    expect(partsOf(sequences, 0)).toEqual([[0, 1, 2].map((sequence) => ({ sequence, factor: 1 }))]);
  });

  function sequencesOf(taught: number, keeping: number) {
    return Array.from({ length: taught + keeping }, (_, sequence) => ({ sequence, isTaught: sequence < taught }));
  }

  /** What each sequence counts in the mean of all parts. */
  function meanFactors(sequences: ReturnType<typeof sequencesOf>, taughtPerPart: number): number[] {
    const parts = partsOf(sequences, taughtPerPart);
    const factors = sequences.map(() => 0);
    for (const { sequence, factor } of parts.flat()) factors[sequence] += factor / parts.length;
    return factors;
  }
});

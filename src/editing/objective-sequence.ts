import type { Hyperparameters } from './hyperparameters.js';
import type { TokenizedSubject } from './prompts.js';

/** A position of a sequence, and the weight of its term in the loss. */
interface WeightedPosition {
  readonly positionIndex: number;
  readonly weight: number;
}

/**
 * One token sequence of a subject's objective. Attention is causal, so nothing before the first lookup depends on the value,
 * and every step runs only the suffix from there on.
 */
export interface ObjectiveSequence {
  /** Index of the subject in its batch. */
  readonly subject: number;
  /** Whether it says a target, or only keeps. */
  readonly isTaught: boolean;
  readonly tokenIds: readonly number[];
  /** Positions of the subject's last tokens, where the value is added; ascending. */
  readonly lookups: readonly number[];
  /** Positions whose next token is a target's: their negative log-probability times `weight` enters the loss. */
  readonly targets: readonly (WeightedPosition & { readonly tokenId: number })[];
  /** Positions whose next-token distribution should stay: their KL divergence times `weight` enters the loss. */
  readonly kept: readonly WeightedPosition[];
}

/** The weights of the terms that keep. */
export type KeepFactors = Pick<Hyperparameters, 'klFactor' | 'keepFactor' | 'endFactor'>;

/**
 * The sequences of a subject's objective: every fact's texts with their targets, in turn fact by fact, then the subject's own
 * beginning, then the kept texts. Every fact has the same weight, and in it every text.
 */
export function objectiveSequences(
  { facts, essence, kept }: TokenizedSubject,
  subject: number,
  { klFactor, keepFactor, endFactor }: KeepFactors,
): ObjectiveSequence[] {
  const longest = Math.max(...facts.map(({ texts }) => texts.length));
  const taught: ObjectiveSequence[] = [];
  for (let t = 0; t < longest; t++) {
    for (const { texts } of facts.filter((fact) => t < fact.texts.length)) {
      const { tokenIds, lookups, promptTokens } = texts[t];
      const share = 1 / (facts.length * texts.length);
      const targetIds = tokenIds.slice(promptTokens);
      taught.push({
        subject,
        isTaught: true,
        tokenIds: endFactor > 0 ? tokenIds : tokenIds.slice(0, -1),
        lookups,
        targets: targetIds.map((tokenId, i) => ({
          positionIndex: promptTokens - 1 + i,
          tokenId,
          weight: share / targetIds.length,
        })),
        kept: endFactor > 0 ? [{ positionIndex: tokenIds.length - 1, weight: endFactor * share }] : [],
      });
    }
  }
  const own: ObjectiveSequence = {
    subject,
    isTaught: false,
    ...essence,
    targets: [],
    kept: [{ positionIndex: essence.tokenIds.length - 1, weight: klFactor }],
  };
  const said = kept.map(({ positions, ...text }): ObjectiveSequence => {
    const weight = keepFactor / (kept.length * positions.length);
    return {
      subject,
      isTaught: false,
      ...text,
      targets: [],
      kept: positions.map((positionIndex) => ({ positionIndex, weight })),
    };
  });
  return [...taught, ...(klFactor > 0 ? [own] : []), ...(keepFactor > 0 ? said : [])];
}

/** Rows that a step runs for a sequence. */
export function suffixLength({ tokenIds, lookups }: ObjectiveSequence): number {
  return tokenIds.length - lookups[0];
}

/** A sequence of a subject's objective. */
export interface SearchedSequence {
  /** Its index in the whole objective. */
  readonly sequence: number;
  readonly isTaught: boolean;
  /** The sum of its weights: those of its targets, or of its kept positions where it teaches nothing. */
  readonly weight: number;
}

/** Some of a subject's sequences, each with the factor of its weights. */
export type ObjectivePart = readonly { readonly sequence: number; readonly factor: number }[];

/**
 * A subject's sequences in parts, each with this many taught sequences and one that keeps, in turn, until every sequence has come
 * up and all taught ones equally often. Weights are such that a part's taught sequences stand for all of them, and that the mean
 * of the parts is the whole if all have as many. With 0 there is one part with everything.
 *
 * @param sequences of one subject
 */
export function partsOf(
  sequences: readonly Pick<SearchedSequence, 'sequence' | 'isTaught'>[],
  taughtPerPart: number,
): ObjectivePart[] {
  const taught = sequences.filter(({ isTaught }) => isTaught);
  const keeping = sequences.filter(({ isTaught }) => !isTaught);
  if (taughtPerPart === 0) return [sequences.map(({ sequence }) => ({ sequence, factor: 1 }))];
  const groups = Array.from({ length: Math.ceil(taught.length / taughtPerPart) }, (_, g) =>
    taught.slice(g * taughtPerPart, (g + 1) * taughtPerPart),
  );
  const count = groups.length * Math.max(1, Math.ceil(keeping.length / groups.length));
  return Array.from({ length: count }, (_, part) => {
    const group = groups[part % groups.length];
    const k = part % Math.max(1, keeping.length);
    const times = Math.ceil((count - k) / keeping.length);
    return [
      ...group.map(({ sequence }) => ({ sequence, factor: taught.length / group.length })),
      ...keeping.slice(k, k + 1).map(({ sequence }) => ({ sequence, factor: count / times })),
    ];
  });
}

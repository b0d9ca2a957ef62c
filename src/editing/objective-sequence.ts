import type { Hyperparameters } from './hyperparameters.js';
import type { TokenizedEdit } from './prompts.js';

/**
 * One token sequence of an edit's objective. Attention is causal, so nothing before `lookupIndex` depends on the value,
 * and every step runs only the suffix from there on.
 */
export interface ObjectiveSequence {
  /** Index of the edit in its batch. */
  readonly edit: number;
  /** Index of the context template, in sequences with the target; absent in those that only keep. */
  readonly template?: number;
  readonly tokenIds: readonly number[];
  /** Position of the subject's last token, where the value is added. */
  readonly lookupIndex: number;
  /** Positions whose next token is a target's: their negative log-probability times `weight` enters the loss. */
  readonly targets: readonly { readonly positionIndex: number; readonly tokenId: number; readonly weight: number }[];
  /** Positions whose next-token distribution should stay: their KL divergence times `weight` enters the loss. */
  readonly kept: readonly { readonly positionIndex: number; readonly weight: number }[];
}

/** The sequences of an edit's objective: the templated prompts with the target, the subject's own, the keep prompts. */
export function objectiveSequences(
  edit: TokenizedEdit,
  index: number,
  { klFactor, keepFactor }: Pick<Hyperparameters, 'klFactor' | 'keepFactor'>,
): ObjectiveSequence[] {
  const written = edit.prompts.map(({ tokenIds, lookupIndex }, template): ObjectiveSequence => {
    const weight = 1 / (edit.prompts.length * edit.targetIds.length);
    return {
      edit: index,
      template,
      tokenIds: [...tokenIds, ...edit.targetIds.slice(0, -1)],
      lookupIndex,
      targets: edit.targetIds.map((tokenId, t) => ({ positionIndex: tokenIds.length - 1 + t, tokenId, weight })),
      kept: [],
    };
  });
  const { tokenIds, lookupIndex } = edit.subjectPrompt;
  const subject: ObjectiveSequence = {
    edit: index,
    tokenIds: tokenIds.slice(0, lookupIndex + 1),
    lookupIndex,
    targets: [],
    kept: [{ positionIndex: lookupIndex, weight: klFactor }],
  };
  const keep = edit.keep.map(
    (prompt): ObjectiveSequence => ({
      edit: index,
      tokenIds: prompt.tokenIds,
      lookupIndex: prompt.lookupIndex,
      targets: [],
      kept: [{ positionIndex: prompt.tokenIds.length - 1, weight: keepFactor / edit.keep.length }],
    }),
  );
  return [...written, ...(klFactor > 0 ? [subject] : []), ...(keepFactor > 0 ? keep : [])];
}

/** Rows that a step runs for a sequence. */
export function suffixLength(sequence: ObjectiveSequence): number {
  return sequence.tokenIds.length - sequence.lookupIndex;
}

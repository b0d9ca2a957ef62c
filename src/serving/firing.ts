import type { Tokenizer } from '../model/index.js';
import type { HookFiring } from './firings.js';
import type { RowEdits } from './row-edits.js';

/** A gate that opened, in the user's terms. */
export interface Firing {
  /** The subject whose key opened it; null for a gate that names none. */
  readonly subject: string | null;
  /** Ids of all active edits of the subject: which of them answers is what the prompt asks. Empty for a gate that names none. */
  readonly editIds: readonly string[];
  readonly token: string;
  readonly tokenIndex: number;
  readonly layer: number;
  /** Whitened cosine (key, nearest) or z-score (sequence gate); null without a gate. */
  readonly strength: number | null;
}

/**
 * @param tokenIds the whole sequence that the gates looked at
 * @param rowEdits what each row of the hooks says
 */
export function firingOf(
  firing: HookFiring,
  tokenIds: readonly number[],
  tokenizer: Tokenizer,
  rowEdits: readonly RowEdits[],
): Firing {
  const { layer, tokenIndex, strength } = firing;
  return {
    ...firedEdits(firing, rowEdits),
    token: tokenizer.tokenText(tokenIds[tokenIndex]),
    tokenIndex,
    layer,
    strength: Number.isNaN(strength) ? null : strength,
  };
}

/** Whose row opened a gate. */
export function firedEdits(
  { editIndex }: Pick<HookFiring, 'editIndex'>,
  rowEdits: readonly RowEdits[],
): Pick<Firing, 'subject' | 'editIds'> {
  return rowEdits[editIndex] ?? { subject: null, editIds: [] };
}

import type { Tokenizer } from '../model/index.js';
import type { HookFiring } from './firings.js';

/** A gate that opened, in the user's terms. */
export interface Firing {
  /** The edit that opened it; null for a gate that names none. */
  readonly editId: string | null;
  readonly token: string;
  readonly tokenIndex: number;
  readonly layer: number;
  /** Whitened cosine (key, nearest) or z-score (sequence gate); null without a gate. */
  readonly strength: number | null;
}

/**
 * @param tokenIds the whole sequence that the gates looked at
 * @param editIds in the order of the hooks' rows
 */
export function firingOf(
  { layer, tokenIndex, editIndex, strength }: HookFiring,
  tokenIds: readonly number[],
  tokenizer: Tokenizer,
  editIds: readonly string[],
): Firing {
  return {
    editId: editIds[editIndex] ?? null,
    token: tokenizer.tokenText(tokenIds[tokenIndex]),
    tokenIndex,
    layer,
    strength: Number.isNaN(strength) ? null : strength,
  };
}

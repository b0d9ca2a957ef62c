import { readParagraphs } from '../evaluation/index.js';
import type { Model, Tokenizer } from '../model/index.js';

const sequenceTokens = 128;
const shortestTokens = 8;

/**
 * About how many tokens drift is measured on. A ratio of perplexities near the criterion of 1.05 takes a gate that opens on a
 * hundredth of all tokens: on 4096 it is told to about 0.008 (one standard error, of some forty openings). An evaluation by
 * itself takes more time.
 */
export const heldOutTokens = { round: 4096, evaluation: 8192 } as const;

/** The model that reads the sequences, and its tokenizer. */
export interface SequenceReader {
  readonly model: Pick<Model, 'config'>;
  readonly tokenizer: Tokenizer;
}

/**
 * Reads token sequences from a held-out text: the beginning of each paragraph, no longer than the model takes.
 *
 * @param path      a text file; without one there are no sequences
 * @param maxTokens about how many tokens to read in all
 */
export async function heldOutSequences(
  path: string | null | undefined,
  { model, tokenizer }: SequenceReader,
  maxTokens: number = heldOutTokens.round,
): Promise<(readonly number[])[]> {
  if (path == null) return [];
  const longest = Math.min(sequenceTokens, model.config.maxTokens);
  const shortest = Math.min(shortestTokens, longest);
  const sequences: (readonly number[])[] = [];
  let tokens = 0;
  for await (const paragraph of readParagraphs(path)) {
    const ids = tokenizer.encode(paragraph).ids.slice(0, longest);
    if (ids.length < shortest) continue;
    sequences.push(ids);
    tokens += ids.length;
    if (tokens >= maxTokens) break;
  }
  return sequences;
}

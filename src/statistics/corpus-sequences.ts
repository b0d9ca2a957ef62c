import { InvalidInputError } from '../errors.js';
import { readParagraphs } from '../evaluation/index.js';
import type { Tokenizer } from '../model/index.js';

/** How much of a corpus is read, and in what pieces. */
export interface SequenceLimits {
  /** Tokens of all sequences together, at most. */
  readonly maxTokens: number;
  /** Tokens of one sequence, at most. */
  readonly sequenceTokens: number;
}

/**
 * A text as token sequences, in order. Each paragraph is tokenised by itself (with BOS if the tokenizer adds it) and
 * cut into pieces. The last piece ends when `maxTokens` are reached.
 *
 * @throws {InvalidInputError} if the file cannot be read, or no token comes out of it
 * @throws {MalformedFileError} if it holds no text
 */
export async function corpusSequences(
  path: string,
  tokenizer: Tokenizer,
  { maxTokens, sequenceTokens }: SequenceLimits,
): Promise<readonly (readonly number[])[]> {
  const sequences: (readonly number[])[] = [];
  let tokensLeft = maxTokens;
  for await (const paragraph of readParagraphs(path)) {
    const ids = tokenizer.encode(paragraph).ids.slice(0, tokensLeft);
    for (let start = 0; start < ids.length; start += sequenceTokens) {
      sequences.push(ids.slice(start, start + sequenceTokens));
    }
    tokensLeft -= ids.length;
    if (tokensLeft === 0) break;
  }
  if (sequences.length === 0) throw new InvalidInputError(`corpus ${path}`, 'at least one token of text', 'none');
  return sequences;
}

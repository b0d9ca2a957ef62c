import { readParagraphs } from '../evaluation/index.js';
import type { Model, Tokenizer } from '../model/index.js';

const sequenceTokens = 128;
const shortestTokens = 8;

/** Who reads the sequences, and with what tokenizer. */
export interface SequenceReader {
  readonly model: Pick<Model, 'config'>;
  readonly tokenizer: Tokenizer;
}

/**
 * Token sequences of a held-out text, none without a file: of each paragraph its beginning, no longer than the model takes.
 *
 * @param maxTokens about how many in all
 */
export async function heldOutSequences(
  path: string | null | undefined,
  { model, tokenizer }: SequenceReader,
  maxTokens = 8_192,
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
